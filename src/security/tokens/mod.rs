//! Access tokens: JWTs (RFC 7519) signed with ES256, and the key sets that verify them (RFC 7517).
//!
//! Every project has an audience per kind of user, so that a verifier that knows the plain key set
//! only rejects restricted and anonymous users' tokens. Keys are derived from the server secret and
//! the audience: nothing is stored, and nothing can leak from the database.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use moka::sync::Cache;
use muniment_domain::{
    MAIN_BRANCH, Millis, ProjectId, RestrictedReason, SessionId, TeamId, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::security::secrets::ServerSecret;
use keys::KeyPairs;

/// Signed-in users are `authenticated`, anonymous ones included.
const ROLE: &str = "authenticated";
/// Verified tokens remembered.
const REMEMBERED: u64 = 20_000;

/// The kinds of users, by which tokens differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// May use everything.
    Regular,
    /// Has something left to do first.
    Restricted,
    /// Has not signed up.
    Anonymous,
}

impl UserKind {
    const ALL: [Self; 3] = [Self::Regular, Self::Restricted, Self::Anonymous];

    fn of(is_anonymous: bool, reason: Option<RestrictedReason>) -> Self {
        match (is_anonymous, reason) {
            (true, _) => Self::Anonymous,
            (false, Some(_)) => Self::Restricted,
            (false, None) => Self::Regular,
        }
    }

    fn audience(self, project: &ProjectId) -> String {
        match self {
            Self::Regular => project.to_string(),
            Self::Restricted => format!("{project}:restricted"),
            Self::Anonymous => format!("{project}:anon"),
        }
    }

    fn issuer_suffix(self) -> &'static str {
        match self {
            Self::Regular => "",
            Self::Restricted => "-restricted-users",
            Self::Anonymous => "-anonymous-users",
        }
    }
}

/// Which users' keys a key set includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Regular users'.
    Regular,
    /// And restricted users'.
    Restricted,
    /// And anonymous users'.
    Anonymous,
}

/// What a token is issued about.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "the claims are described where they are written"
)]
pub struct NewClaims {
    pub project_id: ProjectId,
    pub user_id: UserId,
    pub session_id: SessionId,
    pub name: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub selected_team_id: Option<TeamId>,
    pub signed_up_at: Millis,
    pub is_anonymous: bool,
    pub restricted_reason: Option<RestrictedReason>,
    pub requires_totp_mfa: bool,
}

/// What a verified token says, as far as the server acts on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The project that issued it.
    pub project_id: ProjectId,
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The user was anonymous when it was issued.
    pub is_anonymous: bool,
    /// Why the user was restricted when it was issued.
    pub restricted_reason: Option<RestrictedReason>,
    /// When it expires, in seconds since the Unix epoch.
    exp: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is not one of ours.
    Unparsable,
    /// It is one of ours, past its end.
    Expired {
        /// When it expired.
        expired_at: Millis,
        /// Its project.
        project_id: Option<String>,
        /// Its user.
        user_id: Option<String>,
        /// Its session.
        refresh_token_id: Option<String>,
    },
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key could not be derived.
    #[error("a signing key could not be derived: {0}")]
    Key(String),
    /// Signing failed.
    #[error("the token could not be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// The claims on the wire.
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "clients expect as many")]
struct WireClaims<'c> {
    iss: String,
    aud: &'c str,
    sub: UserId,
    iat: i64,
    exp: i64,
    project_id: &'c ProjectId,
    branch_id: &'static str,
    refresh_token_id: SessionId,
    role: &'static str,
    name: Option<&'c str>,
    email: Option<&'c str>,
    email_verified: bool,
    selected_team_id: Option<TeamId>,
    signed_up_at: i64,
    is_anonymous: bool,
    is_restricted: bool,
    restricted_reason: Option<RestrictedReason>,
    requires_totp_mfa: bool,
}

/// The claims that are read back.
#[derive(Deserialize)]
struct ReadClaims {
    iss: String,
    aud: String,
    sub: UserId,
    exp: i64,
    #[serde(alias = "refreshTokenId")]
    refresh_token_id: SessionId,
    #[serde(default)]
    is_anonymous: bool,
    #[serde(default)]
    restricted_reason: Option<RestrictedReason>,
}

/// Issues and verifies access tokens. Cheap to clone.
#[derive(Clone)]
pub struct TokenIssuer {
    public_url: Arc<str>,
    lifetime_seconds: i64,
    keys: KeyPairs,
    /// Tokens whose signature was checked, by their hash. A token is sent with every request for
    /// minutes, and checking an ECDSA signature costs more than everything else about a request.
    /// Only genuine tokens enter, so strangers cannot fill it; expiry is checked at every use.
    verified: Cache<[u8; 32], Arc<Claims>>,
}

impl TokenIssuer {
    /// Issues tokens in the name of `public_url`, valid for that many seconds.
    #[must_use]
    pub fn new(secret: &ServerSecret, public_url: &str, lifetime_seconds: i64) -> Self {
        let lifetime = u64::try_from(lifetime_seconds).unwrap_or(0);
        Self {
            public_url: public_url.trim_end_matches('/').into(),
            lifetime_seconds,
            keys: KeyPairs::new(secret),
            verified: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(Duration::from_secs(lifetime))
                .build(),
        }
    }

    /// How long a token is valid, in seconds.
    #[must_use]
    pub fn lifetime_seconds(&self) -> i64 {
        self.lifetime_seconds
    }

    fn issuer(&self, kind: UserKind, project: &ProjectId) -> String {
        format!(
            "{}/api/v1/projects{}/{project}",
            self.public_url,
            kind.issuer_suffix()
        )
    }

    /// Issues a token.
    pub fn issue(&self, claims: &NewClaims, now: Millis) -> Result<String, TokenError> {
        let kind = UserKind::of(claims.is_anonymous, claims.restricted_reason);
        let audience = kind.audience(&claims.project_id);
        let wire = WireClaims {
            iss: self.issuer(kind, &claims.project_id),
            aud: &audience,
            sub: claims.user_id,
            iat: now.seconds(),
            exp: now.seconds() + self.lifetime_seconds,
            project_id: &claims.project_id,
            branch_id: MAIN_BRANCH,
            refresh_token_id: claims.session_id,
            role: ROLE,
            name: claims.name.as_deref(),
            email: claims.email.as_deref(),
            email_verified: claims.email_verified,
            selected_team_id: claims.selected_team_id,
            signed_up_at: claims.signed_up_at.seconds(),
            is_anonymous: claims.is_anonymous,
            is_restricted: claims.restricted_reason.is_some(),
            restricted_reason: claims.restricted_reason,
            requires_totp_mfa: claims.requires_totp_mfa,
        };
        self.sign(&audience, &wire)
    }

    /// Signs claims with the key of that name: an audience, or another issuer of ours.
    pub fn sign(&self, key_name: &str, claims: &impl Serialize) -> Result<String, TokenError> {
        let [key, _] = &*self.keys.of(key_name)?;
        let header = Header {
            kid: Some(key.kid.clone()),
            typ: None,
            ..Header::new(Algorithm::ES256)
        };
        Ok(jsonwebtoken::encode(&header, claims, &key.signing)?)
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn verify(&self, token: &str, now: Millis) -> Result<Arc<Claims>, Rejection> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.verified.get(&hash) {
            return not_expired(claims, now);
        }
        let claims = Arc::new(self.check_signature(token).ok_or(Rejection::Unparsable)?);
        let claims = not_expired(claims, now)?;
        self.verified.insert(hash, Arc::clone(&claims));
        Ok(claims)
    }

    fn check_signature(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let unchecked: ReadClaims = unchecked_claims(token)?;
        let (project, kind) = audience_of(&unchecked.aud)?;
        let pairs = self.keys.of(&unchecked.aud).ok()?;
        let key = pairs
            .iter()
            .find(|key| header.kid.as_deref() == Some(&key.kid))?;
        let mut validation = Validation::new(Algorithm::ES256);
        // Expiry is judged by the clock that was handed in, and an expired token must be told from
        // a forged one.
        validation.validate_exp = false;
        validation.set_audience(&[&unchecked.aud]);
        validation.set_issuer(&[self.issuer(kind, &project)]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let claims = jsonwebtoken::decode::<ReadClaims>(token, &key.verifying, &validation)
            .ok()?
            .claims;
        let reason = if claims.is_anonymous {
            Some(RestrictedReason::Anonymous)
        } else {
            claims.restricted_reason
        };
        (claims.iss == self.issuer(kind, &project)).then_some(Claims {
            project_id: project,
            user_id: claims.sub,
            session_id: claims.refresh_token_id,
            is_anonymous: claims.is_anonymous,
            restricted_reason: reason,
            exp: claims.exp,
        })
    }

    /// The public keys of a project, as a JSON Web Key Set.
    pub fn jwks(&self, project: &ProjectId, include: Include) -> Result<Value, TokenError> {
        let kinds = match include {
            Include::Regular => &UserKind::ALL[..1],
            Include::Restricted => &UserKind::ALL[..2],
            Include::Anonymous => &UserKind::ALL[..],
        };
        self.key_set(kinds.iter().map(|kind| kind.audience(project)))
    }

    /// The public keys of those names, as a JSON Web Key Set.
    pub fn key_set(
        &self,
        key_names: impl IntoIterator<Item = String>,
    ) -> Result<Value, TokenError> {
        let mut keys = Vec::new();
        for name in key_names {
            keys.extend(self.keys.of(&name)?.iter().map(|key| key.jwk.clone()));
        }
        Ok(json!({"keys": keys}))
    }
}

fn not_expired(claims: Arc<Claims>, now: Millis) -> Result<Arc<Claims>, Rejection> {
    let expired_at = Millis(claims.exp.saturating_mul(1000));
    if now < expired_at {
        return Ok(claims);
    }
    Err(Rejection::Expired {
        expired_at,
        project_id: Some(claims.project_id.to_string()),
        user_id: Some(claims.user_id.to_string()),
        refresh_token_id: Some(claims.session_id.to_string()),
    })
}

/// The claims before their signature is checked, which is needed to know whose keys to check with.
fn unchecked_claims(token: &str) -> Option<ReadClaims> {
    let payload = token.split('.').nth(1)?;
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn audience_of(audience: &str) -> Option<(ProjectId, UserKind)> {
    let (project, kind) = match audience.split_once(':') {
        None => (audience, UserKind::Regular),
        Some((project, "restricted")) => (project, UserKind::Restricted),
        Some((project, "anon")) => (project, UserKind::Anonymous),
        Some(_) => return None,
    };
    Some((ProjectId::from_caller(project), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::secrets::Random;
    use data_encoding::BASE64URL_NOPAD;
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use uuid::Uuid;

    const NOW: Millis = Millis(1_700_000_000_000);

    fn issuer(seed: u64) -> TokenIssuer {
        let secret = ServerSecret::generate(&Random::seeded(seed));
        TokenIssuer::new(&secret, "https://id.example.com/", 600)
    }

    fn claims() -> NewClaims {
        NewClaims {
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId(Uuid::from_u128(2)),
            session_id: SessionId(Uuid::from_u128(3)),
            name: Some("Ada".to_owned()),
            email: None,
            email_verified: false,
            selected_team_id: None,
            signed_up_at: Millis(1_600_000_000_999),
            is_anonymous: false,
            restricted_reason: None,
            requires_totp_mfa: false,
        }
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_the_contract_wants() {
        let token = issuer(1).issue(&claims(), NOW).unwrap();
        let (header, body) = (part(&token, 0), part(&token, 1));
        assert_eq!(header["alg"], "ES256");
        assert_eq!(header["kid"].as_str().unwrap().len(), 12);
        let project = claims().project_id.to_string();
        assert_eq!(
            body["iss"],
            format!("https://id.example.com/api/v1/projects/{project}")
        );
        assert_eq!(body["aud"], project);
        assert_eq!(body["exp"], 1_700_000_600);
        assert_eq!(body["signed_up_at"], 1_600_000_000);
        assert_eq!(body["email"], Value::Null);
        assert_eq!(body["restricted_reason"], Value::Null);
    }

    #[test]
    fn a_foreign_verifier_accepts_it_with_the_published_key() {
        let issuer = issuer(1);
        let token = issuer.issue(&claims(), NOW).unwrap();
        let set = issuer.jwks(&claims().project_id, Include::Regular).unwrap();
        let key = &set["keys"][0];
        assert_eq!(part(&token, 0)["kid"], key["kid"]);
        let bytes = |name: &str| {
            BASE64URL_NOPAD
                .decode(key[name].as_str().unwrap().as_bytes())
                .unwrap()
        };
        let point = [vec![4], bytes("x"), bytes("y")].concat();
        let verifying = VerifyingKey::from_sec1_bytes(&point).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        assert!(verifying.verify(signed.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn key_sets_grow_with_what_they_include() {
        let (issuer, project) = (issuer(1), claims().project_id);
        for (include, count) in [
            (Include::Regular, 2),
            (Include::Restricted, 4),
            (Include::Anonymous, 6),
        ] {
            let set = issuer.jwks(&project, include).unwrap();
            let kids: std::collections::BTreeSet<String> = set["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["kid"].to_string())
                .collect();
            assert_eq!(kids.len(), count);
        }
    }

    #[test]
    fn kinds_of_users_have_issuers_and_audiences_of_their_own() {
        let issuer = issuer(1);
        let restricted = NewClaims {
            restricted_reason: Some(RestrictedReason::EmailNotVerified),
            ..claims()
        };
        let anonymous = NewClaims {
            is_anonymous: true,
            restricted_reason: Some(RestrictedReason::Anonymous),
            ..claims()
        };
        for (claims, suffix, path) in [
            (restricted, ":restricted", "projects-restricted-users"),
            (anonymous, ":anon", "projects-anonymous-users"),
        ] {
            let token = issuer.issue(&claims, NOW).unwrap();
            let body = part(&token, 1);
            assert!(body["aud"].as_str().unwrap().ends_with(suffix));
            assert!(body["iss"].as_str().unwrap().contains(path));
            let read = issuer.verify(&token, NOW).unwrap();
            assert_eq!(read.restricted_reason, claims.restricted_reason);
        }
    }

    #[test]
    fn a_token_expires_by_the_clock_handed_in() {
        let issuer = issuer(1);
        let token = issuer.issue(&claims(), NOW).unwrap();
        assert!(issuer.verify(&token, NOW.plus(599_999)).is_ok());
        let expired = issuer.verify(&token, NOW.plus(600_000)).unwrap_err();
        assert!(
            matches!(expired, Rejection::Expired { expired_at, .. } if expired_at == NOW.plus(600_000))
        );
    }

    #[test]
    fn forgeries_are_not_parsed() {
        let issuer = issuer(1);
        let token = issuer.issue(&claims(), NOW).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let mut body = part(&token, 1);
        body["sub"] = json!(Uuid::from_u128(9));
        let tampered = format!("{}.{}.{}", parts[0], encode(&body), parts[2]);
        let unsigned = format!("{}.{}.", encode(&json!({"alg": "none"})), parts[1]);
        let symmetric = jsonwebtoken::encode(
            &Header {
                kid: Some("x".to_owned()),
                ..Header::new(Algorithm::HS256)
            },
            &part(&token, 1),
            &jsonwebtoken::EncodingKey::from_secret(b"guess"),
        )
        .unwrap();
        let other_server = self::issuer(2).issue(&claims(), NOW).unwrap();
        for forged in [
            "",
            "a.b.c",
            "garbage",
            &tampered,
            &unsigned,
            &symmetric,
            &other_server,
        ] {
            assert_eq!(
                issuer.verify(forged, NOW),
                Err(Rejection::Unparsable),
                "{forged}"
            );
        }
    }

    #[test]
    fn another_address_is_another_issuer() {
        let secret = ServerSecret::generate(&Random::seeded(1));
        let other = TokenIssuer::new(&secret, "https://evil.example.com", 600);
        let token = other.issue(&claims(), NOW).unwrap();
        assert_eq!(issuer(1).verify(&token, NOW), Err(Rejection::Unparsable));
    }
}
