//! Invitations to teams: verification codes that were neither used, nor discarded, nor expired.
//! The rows are those of verification codes; what is here finds them.

use muniment_domain::{Millis, ProjectId, TeamId, UserId, VerificationCodeId};
use sqlx::PgPool;
use uuid::Uuid;

use muniment_event_store::LedgerError;

/// An invitation that can still be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The id of its code.
    pub id: Uuid,
    /// The team that it leads into.
    pub team_id: Uuid,
    /// That team's name.
    pub team_display_name: String,
    /// When it stops working.
    pub expires_at: i64,
    /// The address that it was sent to, as the sender wrote it.
    pub recipient_email: String,
    /// How often somebody had left the team when it was sent.
    pub departures: i64,
}

impl Invitation {
    /// The team that it leads into.
    #[must_use]
    pub fn team(&self) -> TeamId {
        TeamId(self.team_id)
    }

    /// The id of its code.
    #[must_use]
    pub fn code_id(&self) -> VerificationCodeId {
        VerificationCodeId(self.id)
    }
}

/// The open invitations into a team, oldest first.
pub async fn of_team(
    pool: &PgPool,
    project: &ProjectId,
    team: TeamId,
    now: Millis,
) -> Result<Vec<Invitation>, LedgerError> {
    let rows = sqlx::query_as!(
        Invitation,
        r#"SELECT v.id, t.id AS team_id, t.display_name AS team_display_name, v.expires_at,
                  v.email AS "recipient_email!",
                  coalesce((v.data ->> 'departures')::bigint, 0) AS "departures!"
           FROM verification_codes v JOIN teams t ON t.id = $3
           WHERE v.project_id = $1 AND v.purpose = 'team_invitation' AND v.data ->> 'team_id' = $2
             AND v.redeemed_at IS NULL AND v.expires_at > $4 AND v.email IS NOT NULL
           ORDER BY v.issued_at, v.id"#,
        project.as_str(),
        team.to_string(),
        team.0,
        now.0,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The open invitations to addresses that are proven to be this user's, oldest first.
pub async fn to_user(
    pool: &PgPool,
    project: &ProjectId,
    user: UserId,
    now: Millis,
) -> Result<Vec<Invitation>, LedgerError> {
    let rows = sqlx::query_as!(
        Invitation,
        r#"SELECT v.id, t.id AS team_id, t.display_name AS team_display_name, v.expires_at,
                  v.email AS "recipient_email!",
                  coalesce((v.data ->> 'departures')::bigint, 0) AS "departures!"
           FROM contact_channels c
           JOIN verification_codes v ON v.project_id = c.project_id AND v.email = c.value
           JOIN teams t ON t.id = (v.data ->> 'team_id')::uuid
           WHERE c.project_id = $1 AND c.user_id = $2 AND c.type = 'email' AND c.is_verified
             AND v.purpose = 'team_invitation' AND v.redeemed_at IS NULL AND v.expires_at > $3
           ORDER BY v.issued_at, v.id"#,
        project.as_str(),
        user.0,
        now.0,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}
