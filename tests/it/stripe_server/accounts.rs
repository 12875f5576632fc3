//! Accounts, and the ways to pay that they offer.

use serde_json::{Value, json};

use super::answers::{Done, invalid};
use super::values::text;
use super::world::World;

pub(super) fn new_account(world: &mut World, params: &Value) -> Done {
    if text(&params["country"]).len() != 2 {
        return invalid("Country is invalid", "country");
    }
    let id = world.id("acct");
    let account = world.store(
        "",
        json!({
            "id": id,
            "object": "account",
            "country": params["country"],
            "controller": params["controller"],
            "charges_enabled": false,
            "details_submitted": false,
            "payouts_enabled": false,
            "metadata": params["metadata"],
        }),
    );
    let method = |value: &str, available: bool| {
        let preference = json!({"overridable": null, "preference": value, "value": value});
        json!({"available": available, "display_preference": preference})
    };
    let configuration = json!({
        "id": format!("pmc_default_{id}"),
        "object": "payment_method_configuration",
        "active": true,
        "application": null,
        "parent": null,
        "is_default": true,
        "livemode": false,
        "name": "Default",
        "card": method("on", true),
        "link": method("off", true),
        "klarna": method("on", false),
        "not_known_yet": method("on", true),
    });
    world.store(&id, configuration);
    Ok(account)
}

pub(super) fn account_link(world: &mut World, params: &Value) -> Done {
    let account = text(&params["account"]);
    world.find("", "account", account)?;
    for name in ["refresh_url", "return_url"] {
        if !text(&params[name]).starts_with("http") {
            return invalid("Not a valid URL", name);
        }
    }
    if params["type"] != "account_onboarding" {
        return invalid("Invalid type", "type");
    }
    let url = format!("https://connect.stripe.com/setup/c/{account}");
    Ok(json!({"object": "account_link", "created": world.now, "url": url}))
}

pub(super) fn account_session(world: &mut World, params: &Value) -> Done {
    let account = text(&params["account"]).to_owned();
    world.find("", "account", &account)?;
    let components = params["components"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    if components.is_empty() {
        return invalid("Missing required param: components.", "components");
    }
    let secret = world.id("accs_secret_");
    Ok(json!({"object": "account_session", "account": account, "client_secret": secret}))
}

pub(super) fn switch_methods(world: &mut World, account: &str, id: &str, params: &Value) -> Done {
    let mut configuration = world.find(account, "payment_method_configuration", id)?;
    for (method, wanted) in params.as_object().into_iter().flatten() {
        let preference = &wanted["display_preference"]["preference"];
        if !configuration[method].is_object() {
            configuration[method] = json!({"available": false, "display_preference": {}});
        }
        configuration[method]["display_preference"]["preference"] = preference.clone();
        configuration[method]["display_preference"]["value"] = preference.clone();
    }
    Ok(world.change(id, &configuration))
}
