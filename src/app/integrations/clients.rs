//! The registry of platforms: clients in the sense of OAuth 2.0 (RFC 6749), which the operator
//! registers in `STACK_INTEGRATION_CLIENTS_CONFIG`.

use std::str::FromStr;

use jsonwebtoken::EncodingKey;
use muniment_domain::SecretHash;
use serde::Deserialize;

/// A platform.
#[derive(Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Where logins may lead.
    pub redirect_uris: Vec<String>,
    /// How its id tokens are signed.
    pub id_tokens: IdTokenSigning,
    credentials: SecretHash,
}

/// How id tokens are signed.
#[derive(Clone)]
pub enum IdTokenSigning {
    /// ES256, with the key set of the identity provider.
    ProviderKey,
    /// HS256, with the client's secret.
    ClientSecret(EncodingKey),
}

impl IdTokenSigning {
    /// The algorithms that can be registered: `alg` values of RFC 7518.
    pub const ALGORITHMS: [&'static str; 2] = ["ES256", "HS256"];
}

/// All platforms.
#[derive(Clone, Default)]
pub struct Clients(Vec<Client>);

impl std::fmt::Debug for Clients {
    /// Ids only: keys must not get into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|client| &client.id))
            .finish()
    }
}

impl Clients {
    /// The client of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Client> {
        self.0.iter().find(|client| client.id == id)
    }

    /// The client whose credentials these are. Hashes are compared, of id and secret together, so
    /// the time taken says nothing about either.
    #[must_use]
    pub fn authenticate(&self, id: &str, secret: &str) -> Option<&Client> {
        let offered = credentials(id, secret);
        self.0.iter().find(|client| client.credentials == offered)
    }
}

fn credentials(id: &str, secret: &str) -> SecretHash {
    // The length keeps `a:` with `b` apart from `a` with `:b`.
    SecretHash::of(&format!("{}:{id}:{secret}", id.len()))
}

/// A client as it is registered. What else is said of it is ignored.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: String,
    redirect_uris: Vec<String>,
    #[serde(default)]
    id_token_signed_response_alg: Option<String>,
}

impl FromStr for Clients {
    type Err = String;

    /// Reads the JSON list. An empty text registers nobody.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let registered: Vec<Registered> = serde_json::from_str(text).map_err(|error| {
            format!(
                "not a JSON list of clients, each with client_id, client_secret, redirect_uris and \
                 id_token_signed_response_alg: {error}"
            )
        })?;
        let mut clients = Self::default();
        for client in registered {
            if clients.find(&client.client_id).is_some() {
                return Err(format!("client {} is listed twice", client.client_id));
            }
            clients.0.push(client.read()?);
        }
        Ok(clients)
    }
}

impl Registered {
    fn read(self) -> Result<Client, String> {
        let id = self.client_id;
        // Basic credentials end the id at the first colon (RFC 7617 §2).
        if id.is_empty() || id.contains(':') {
            return Err(format!("client_id {id:?} is empty or contains a colon"));
        }
        if self.client_secret.is_empty() {
            return Err(format!("client {id} has no client_secret"));
        }
        let not_absolute = |uri: &&String| url::Url::parse(uri).is_err();
        if let Some(uri) = self.redirect_uris.iter().find(not_absolute) {
            return Err(format!("redirect URI {uri:?} of client {id} is no URL"));
        }
        let algorithm = self.id_token_signed_response_alg.as_deref();
        let id_tokens = match algorithm.unwrap_or(IdTokenSigning::ALGORITHMS[0]) {
            "ES256" => IdTokenSigning::ProviderKey,
            "HS256" => {
                let key = EncodingKey::from_secret(self.client_secret.as_bytes());
                IdTokenSigning::ClientSecret(key)
            }
            other => {
                let known = IdTokenSigning::ALGORITHMS.join(" or ");
                return Err(format!(
                    "id_token_signed_response_alg of client {id} is {other}, but must be {known}"
                ));
            }
        };
        Ok(Client {
            credentials: credentials(&id, &self.client_secret),
            redirect_uris: self.redirect_uris,
            id_tokens,
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(clients: &Value) -> Result<Clients, String> {
        clients.to_string().parse()
    }

    fn client(id: &str) -> Value {
        json!({"client_id": id, "client_secret": "s", "redirect_uris": ["https://a.example.com/cb"],
               "id_token_signed_response_alg": "ES256"})
    }

    #[test]
    fn nobody_is_registered_without_a_list() {
        for text in ["", "  ", "[]"] {
            assert!(text.parse::<Clients>().unwrap().0.is_empty());
        }
    }

    #[test]
    fn id_and_secret_must_both_be_right() {
        let clients = read(&json!([client("a"), client("b")])).unwrap();
        assert_eq!(clients.authenticate("b", "s").unwrap().id, "b");
        for (id, secret) in [("a", "t"), ("c", "s"), ("", ""), ("a", "")] {
            assert!(clients.authenticate(id, secret).is_none(), "{id}:{secret}");
        }
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused() {
        let with = |name: &str, value: Value| {
            let mut client = client("a");
            client[name] = value;
            json!([client])
        };
        for bad in [
            json!({}),
            json!([{"client_id": "a"}]),
            json!([client("a"), client("a")]),
            with("client_id", json!("a:b")),
            with("client_secret", json!("")),
            with("redirect_uris", json!(["/callback"])),
            with("id_token_signed_response_alg", json!("none")),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
