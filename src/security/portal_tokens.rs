//! Tokens with which a project's webhooks are managed by Svix's API: JWTs (RFC 7519) signed with
//! HS256 under a key that derives from the server secret. Nothing is stored; a token works until it
//! expires or its project is deleted.

use std::sync::Arc;

use hkdf::Hkdf;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use muniment_domain::{Millis, ProjectId};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::security::secrets::ServerSecret;

/// How long a token works, in seconds: a day. The dashboard asks for one whenever it is opened.
const LIFETIME_SECONDS: i64 = 24 * 60 * 60;
/// Whom tokens are for, so that no other token of ours could pass for one.
const AUDIENCE: &str = "muniment:webhooks";

/// Issues and verifies the tokens. Cheap to clone.
#[derive(Clone)]
pub struct PortalTokens(Arc<Keys>);

struct Keys {
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: ProjectId,
    exp: i64,
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    /// The project whose webhooks may be managed.
    pub project: ProjectId,
    /// Until when, in seconds since the Unix epoch.
    pub expires_at: i64,
}

impl PortalTokens {
    /// Derives the key.
    #[must_use]
    pub fn new(secret: &ServerSecret) -> Self {
        let mut key = [0; 32];
        // Expanding to 32 bytes cannot fail: the limit is 255 times the hash's length.
        let _ = Hkdf::<Sha256>::new(None, secret.as_bytes())
            .expand(b"muniment webhook portal tokens v1", &mut key);
        Self(Arc::new(Keys {
            signing: EncodingKey::from_secret(&key),
            verifying: DecodingKey::from_secret(&key),
        }))
    }

    /// Issues a token that works for a day.
    pub fn issue(
        &self,
        project: &ProjectId,
        now: Millis,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.reissue(&Portal {
            project: project.clone(),
            expires_at: now.seconds() + LIFETIME_SECONDS,
        })
    }

    /// Issues another token for the same, which does not work any longer.
    pub fn reissue(&self, portal: &Portal) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            sub: portal.project.clone(),
            exp: portal.expires_at,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.signing)
    }

    /// What a token stands for, if it is one of ours and works now.
    #[must_use]
    pub fn verify(&self, token: &str, now: Millis) -> Option<Portal> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is judged by the clock that was handed in.
        validation.validate_exp = false;
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        let read = jsonwebtoken::decode::<Claims>(token, &self.0.verifying, &validation);
        let claims = read.ok()?.claims;
        (now.seconds() < claims.exp).then_some(Portal {
            project: claims.sub,
            expires_at: claims.exp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::secrets::Random;

    fn tokens(seed: u64) -> PortalTokens {
        PortalTokens::new(&ServerSecret::generate(&Random::seeded(seed)))
    }

    #[test]
    fn a_token_stands_for_its_project_until_it_expires() {
        let project = ProjectId::from_caller("p");
        let token = tokens(1).issue(&project, Millis(0)).unwrap();
        let portal = tokens(1).verify(&token, Millis(86_399_999)).unwrap();
        assert_eq!(portal.project, project);
        assert_eq!(tokens(1).reissue(&portal).unwrap(), token);
        assert_eq!(tokens(1).verify(&token, Millis(86_400_000)), None);
        assert_eq!(tokens(2).verify(&token, Millis(0)), None);
        assert_eq!(tokens(1).verify("nonsense", Millis(0)), None);
    }
}
