//! Connected accounts, and which ways to pay they offer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::objects::{Account, AccountLink, AccountSession, List, PaymentMethodConfiguration};
use super::{Call, ConnectedStripe, Stripe, StripeError, path_of};

/// Whether a way to pay is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl Stripe {
    /// Makes the account of a project. For the same project, Stripe makes one only.
    pub async fn create_account(&self, tenancy_id: &str) -> Result<Account, StripeError> {
        let params = json!({
            "controller": {"stripe_dashboard": {"type": "none"}},
            "capabilities": {
                "card_payments": {"requested": true},
                "transfers": {"requested": true},
            },
            "country": "US",
            "metadata": {"tenancyId": tenancy_id},
        });
        let key = format!("muniment-account-{tenancy_id}");
        let call = Call::post("accounts.create", "/v1/accounts", params);
        self.call(call.once(Some(&key))).await
    }

    /// An account.
    ///
    /// # Errors
    /// When it does not exist, or is not this platform's.
    pub async fn retrieve_account(&self, id: &str) -> Result<Account, StripeError> {
        let path = path_of("accounts.retrieve", "accounts", id)?;
        self.call(Call::get("accounts.retrieve", path, Value::Null))
            .await
    }

    /// A page where an account's owner sets it up, who then comes back to `return_url`.
    pub async fn create_account_link(
        &self,
        account: &str,
        return_url: &str,
    ) -> Result<AccountLink, StripeError> {
        let params = json!({
            "account": account,
            "refresh_url": return_url,
            "return_url": return_url,
            "type": "account_onboarding",
        });
        self.call(Call::post(
            "accountLinks.create",
            "/v1/account_links",
            params,
        ))
        .await
    }

    /// Lets a page embed Stripe's own views of an account: payments, notices, payouts.
    pub async fn create_account_session(
        &self,
        account: &str,
    ) -> Result<AccountSession, StripeError> {
        let params = json!({
            "account": account,
            "components": {
                "payments": {
                    "enabled": true,
                    "features": {
                        "refund_management": true,
                        "dispute_management": true,
                        "capture_payments": true,
                    },
                },
                "notification_banner": {"enabled": true},
                "payouts": {
                    "enabled": true,
                    "features": {
                        "instant_payouts": true,
                        "standard_payouts": true,
                        "edit_payout_schedule": true,
                        "external_account_collection": true,
                    },
                },
            },
        });
        let call = Call::post("accountSessions.create", "/v1/account_sessions", params);
        self.call(call).await
    }
}

impl ConnectedStripe {
    /// The account's configurations of ways to pay.
    pub async fn list_payment_method_configurations(
        &self,
    ) -> Result<Vec<PaymentMethodConfiguration>, StripeError> {
        let name = "paymentMethodConfigurations.list";
        let call = Call::get(
            name,
            "/v1/payment_method_configurations",
            json!({"limit": 100}),
        );
        let list: List<PaymentMethodConfiguration> = self.call(call).await?;
        Ok(list.data)
    }

    /// Switches ways to pay of a configuration on and off.
    pub async fn update_payment_method_configuration(
        &self,
        id: &str,
        preferences: &BTreeMap<String, Preference>,
    ) -> Result<PaymentMethodConfiguration, StripeError> {
        let name = "paymentMethodConfigurations.update";
        let path = path_of(name, "payment_method_configurations", id)?;
        let params: Map<String, Value> = preferences
            .iter()
            .map(|(method, preference)| {
                let preference = json!({"display_preference": {"preference": preference}});
                (method.clone(), preference)
            })
            .collect();
        self.call(Call::post(name, path, params.into())).await
    }
}
