//! Receipts, and the news that a payment failed.

use muniment_domain::OutgoingEmailId;
use muniment_domain::customer::{CustomerRef, derived_uuid};
use muniment_domain::outgoing_email::Template;
use muniment_domain::permission::TEAM_ADMIN;
use muniment_event_store::LedgerError;
use muniment_projections::read_models::users;

use super::{EventError, News};
use crate::app::emails::NewEmail;
use crate::app::permissions::members_with;

/// What stands for an amount that Stripe does not tell.
const UNKNOWN_AMOUNT: &str = "an amount that is not known";

/// What was, or was not, paid.
pub(super) struct Bill {
    product: String,
    amount: String,
}

impl Bill {
    pub(super) fn new(product: &str, cents: Option<i64>, currency: Option<&str>) -> Self {
        let amount = cents.zip(currency).map(|(cents, currency)| {
            let sign = if cents < 0 { "-" } else { "" };
            let (whole, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
            format!("{} {sign}{whole}.{rest:02}", currency.to_uppercase())
        });
        Self {
            product: product.to_owned(),
            amount: amount.unwrap_or_else(|| UNKNOWN_AMOUNT.to_owned()),
        }
    }
}

/// An email about a payment.
pub(super) enum PaymentEmail {
    /// It arrived.
    Receipt {
        bill: Bill,
        quantity: i64,
        link: Option<String>,
    },
    /// That of a one-time purchase failed.
    Failed { bill: Bill, reason: Option<String> },
    /// That of an invoice failed.
    InvoiceFailed {
        bill: Bill,
        invoice_url: Option<String>,
    },
}

impl PaymentEmail {
    fn template(&self) -> Template {
        match self {
            Self::Receipt { .. } => Template::PaymentReceipt,
            Self::Failed { .. } | Self::InvoiceFailed { .. } => Template::PaymentFailed,
        }
    }

    /// What the template inserts. What is not known is left out.
    fn fill(&self, email: NewEmail) -> NewEmail {
        let (bill, more) = match self {
            Self::Receipt { bill, link, .. } => (bill, ("receiptLink", link)),
            Self::Failed { bill, reason } => (bill, ("failureReason", reason)),
            Self::InvoiceFailed { bill, invoice_url } => (bill, ("invoiceUrl", invoice_url)),
        };
        let mut email = email
            .with("productName", &bill.product)
            .with("amount", &bill.amount);
        if let Self::Receipt { quantity, .. } = self {
            email = email.with("quantity", &quantity.to_string());
        }
        match more {
            (name, Some(value)) => email.with(name, value),
            (_, None) => email,
        }
    }
}

impl News<'_> {
    /// The emails to a customer: to the user, or to those who administrate the team. Nobody reads
    /// those of custom customers. The same event asks for the same emails.
    pub(super) async fn emails_to(
        &self,
        customer: &CustomerRef,
        email: &PaymentEmail,
    ) -> Result<Vec<NewEmail>, EventError> {
        let (pool, project) = (self.app.pool(), &self.context.project_id);
        let readers = match customer {
            CustomerRef::User { user_id } => vec![*user_id],
            CustomerRef::Team { team_id } => {
                members_with(self.app, project, *team_id, TEAM_ADMIN).await?
            }
            CustomerRef::Custom { .. } => Vec::new(),
        };
        let addresses = users::primary_emails(pool, project, &readers).await?;
        let object = self.text("/id").unwrap_or_default();
        let emails = addresses.into_iter().map(|(address, user)| {
            let (event, kind, user_text) = (&self.event.id, &self.event.kind, user.to_string());
            let parts = [
                "stripe-letter",
                project.as_str(),
                event,
                kind,
                &object,
                &user_text,
            ];
            let id = OutgoingEmailId(derived_uuid(&parts));
            let blank = NewEmail::numbered(id, email.template(), &address);
            email.fill(blank.about(Some(user)))
        });
        Ok(emails.collect())
    }

    /// Asks for emails in a unit of work of their own.
    pub(super) async fn enqueue(&self, emails: &[NewEmail]) -> Result<(), EventError> {
        if emails.is_empty() {
            return Ok(());
        }
        let log = &self.app.log;
        log.transact(&self.context, |mut unit| async {
            for email in emails {
                email.request_once(&mut unit).await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_whole_units() {
        let written = |cents, currency| Bill::new("Pack", cents, currency).amount;
        assert_eq!(written(Some(500), Some("usd")), "USD 5.00");
        assert_eq!(written(Some(123_405), Some("eur")), "EUR 1234.05");
        assert_eq!(written(Some(7), Some("usd")), "USD 0.07");
        assert_eq!(written(Some(-150), Some("usd")), "USD -1.50");
        assert_eq!(written(None, Some("usd")), UNKNOWN_AMOUNT);
        assert_eq!(written(Some(500), None), UNKNOWN_AMOUNT);
    }
}
