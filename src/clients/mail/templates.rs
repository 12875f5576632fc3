//! The built-in texts, as minijinja templates: one per letter for its words, and one layout each
//! for HTML and plain text. Whatever is inserted into HTML is escaped.

use std::sync::LazyLock;

use minijinja::{Environment, Error, Value, context};
use muniment_domain::outgoing_email::{EmailContent, Template};

use super::catcher::Caught;

/// A letter, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
    /// The link that it is all about.
    pub(crate) link: Option<String>,
    /// The short code, if it has one.
    pub(crate) otp: Option<String>,
}

/// The words of a letter: templates themselves.
struct Words {
    subject: &'static str,
    paragraph: &'static str,
    /// Empty in a letter without a link.
    button: &'static str,
    /// Which variable holds the link. Empty in a letter without one.
    link: &'static str,
    note: &'static str,
}

const PAYER: &str =
    "You receive this email because you pay for this, or administrate the team that does.";
const IGNORE: &str = "If you did not ask for this, you can ignore this email.";

fn words(template: Template) -> Words {
    match template {
        Template::EmailVerification => Words {
            subject: "Verify your email at {{ project }}",
            paragraph: "Please confirm that this is your email address, so that {{ project }} can reach you at it.",
            button: "Verify my email",
            link: "emailVerificationLink",
            note: IGNORE,
        },
        Template::PasswordReset => Words {
            subject: "Reset your password at {{ project }}",
            paragraph: "Somebody, probably you, asked to choose a new password for your account at {{ project }}.",
            button: "Choose a new password",
            link: "passwordResetLink",
            note: IGNORE,
        },
        Template::MagicLink => Words {
            subject: "Sign in to {{ project }}: your code is {{ otp }}",
            paragraph: "Use the button below to sign in to {{ project }}, or type this code where you began: {{ otp }}",
            button: "Sign in",
            link: "magicLink",
            note: IGNORE,
        },
        Template::TeamInvitation => Words {
            subject: "You are invited to {{ teamDisplayName }} at {{ project }}",
            paragraph: "You have been invited to join {{ teamDisplayName }} at {{ project }}.",
            button: "Join {{ teamDisplayName }}",
            link: "teamInvitationLink",
            note: "If you do not know why, you can ignore this email.",
        },
        Template::SignInInvitation => Words {
            subject: "You are invited to sign in to {{ teamDisplayName }}",
            paragraph: "You have been invited to sign in to {{ teamDisplayName }}.",
            button: "Sign in",
            link: "signInInvitationLink",
            note: "If you do not know why, you can ignore this email.",
        },
        Template::ApiKeyLeaked => Words {
            subject: "API key revoked: {{ description }}",
            paragraph: "The API key \"{{ description }}\" at {{ project }} was found where others can read it. It does not work any more. Please issue a new one for whatever uses it, and remove the old one from where it leaked.",
            button: "",
            link: "",
            note: "You receive this email because you own this key, or may manage it.",
        },
        Template::PaymentReceipt => Words {
            subject: "Your receipt from {{ project }}",
            paragraph: "Thank you for your payment of {{ amount }} to {{ project }}: {{ productName }}{% if quantity != \"1\" %}, {{ quantity }} times{% endif %}.",
            button: "See the receipt",
            link: "receiptLink",
            note: PAYER,
        },
        Template::PaymentFailed => Words {
            subject: "Your payment to {{ project }} failed",
            paragraph: "Your payment of {{ amount }} to {{ project }} for {{ productName }} failed{% if failureReason %}: {{ failureReason }}{% else %}.{% endif %} Please try again, or use another way to pay.",
            button: "Pay now",
            link: "invoiceUrl",
            note: PAYER,
        },
    }
}

static ENVIRONMENT: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // The names' endings decide whether values are escaped.
    environment.add_template("letter.html", include_str!("templates/letter.html"))?;
    environment.add_template("letter.txt", include_str!("templates/letter.txt"))?;
    environment.add_template("mailbox.html", include_str!("templates/mailbox.html"))?;
    Ok(environment)
});

fn environment() -> Result<&'static Environment<'static>, Error> {
    ENVIRONMENT
        .as_ref()
        .map_err(|error| Error::new(error.kind(), "a built-in template does not parse"))
}

/// Renders a letter in a project's name.
pub(crate) fn render(
    template: Template,
    project: &str,
    letter: &EmailContent,
) -> Result<Rendered, Error> {
    let words = words(template);
    let environment = environment()?;
    let inserted = letter.variables.iter();
    let inserted = Value::from_pairs(inserted.map(|(name, value)| (name.as_str(), value.as_str())));
    let variables = context! { project, ..inserted };
    // Plain text; the layouts escape it where they insert it.
    let filled = |text: &str| environment.render_str(text, &variables);
    let link = letter.variables.get(words.link).cloned();
    let parts = context! {
        project,
        subject => filled(words.subject)?,
        paragraph => filled(words.paragraph)?,
        button => filled(words.button)?,
        note => words.note,
        link => link.as_deref(),
    };
    let render = |name| environment.get_template(name)?.render(&parts);
    Ok(Rendered {
        // A header is one line.
        subject: filled(words.subject)?.replace(['\r', '\n'], " "),
        html: render("letter.html")?,
        text: render("letter.txt")?,
        otp: letter.variables.get("otp").cloned(),
        link,
    })
}

/// Renders the catcher's page.
pub(crate) fn mailbox(messages: &[Caught]) -> Result<String, Error> {
    let template = environment()?.get_template("mailbox.html")?;
    let shown = messages.iter().map(|message| {
        context! {
            at => message.at.as_str(),
            from => message.from.as_str(),
            to => message.to.join(", "),
            subject => message.subject.as_str(),
            text => message.text.as_str(),
            link => message.link.as_deref(),
        }
    });
    template.render(context! { messages => shown.collect::<Vec<Value>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(pairs: &[(&str, &str)]) -> EmailContent {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EmailContent {
            to: vec!["a@example.com".to_owned()],
            variables: variables.collect(),
        }
    }

    #[test]
    fn names_cannot_bring_markup_into_a_letter() {
        let team = "<b>Team</b>\r\nBcc: x@example.com";
        let letter = letter(&[
            ("teamDisplayName", team),
            ("teamInvitationLink", "https://x.example.com/?a=1&code=c"),
        ]);
        let rendered = render(Template::TeamInvitation, "<i>P</i> {{ 1 }}", &letter).unwrap();
        assert!(!rendered.subject.contains('\n'));
        assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<i>"));
        assert!(rendered.html.contains("{{ 1 }}"));
        assert!(
            rendered
                .text
                .contains("https://x.example.com/?a=1&code=c\n")
        );
    }

    #[test]
    fn a_letter_without_a_link_has_no_button() {
        let description = "<script>ci</script>";
        let letter = letter(&[("description", description)]);
        let rendered = render(Template::ApiKeyLeaked, "P & Q", &letter).unwrap();
        assert!(rendered.subject.contains(description));
        assert!(rendered.text.contains(description) && rendered.text.contains("P & Q"));
        assert!(rendered.html.contains("&lt;script&gt;ci") && rendered.html.contains("P &amp; Q"));
        assert!(!rendered.html.contains("href") && !rendered.html.contains("<script"));
        assert_eq!(rendered.link, None);
    }

    #[test]
    fn a_failed_payment_says_why_if_that_is_known() {
        let unknown = [("amount", "USD 5.00"), ("productName", "Gold")];
        let rendered = render(Template::PaymentFailed, "P", &letter(&unknown)).unwrap();
        assert!(
            rendered
                .text
                .contains("USD 5.00 to P for Gold failed. Please")
        );
        assert!(!rendered.html.contains("Pay now"));
        let known = [
            &unknown[..],
            &[("failureReason", "Your card was declined.")],
        ]
        .concat();
        let rendered = render(Template::PaymentFailed, "P", &letter(&known)).unwrap();
        assert!(
            rendered
                .text
                .contains("failed: Your card was declined. Please")
        );
        let receipt = [
            ("amount", "USD 15.00"),
            ("productName", "Gold"),
            ("quantity", "3"),
        ];
        let rendered = render(Template::PaymentReceipt, "P", &letter(&receipt)).unwrap();
        assert!(rendered.text.contains("USD 15.00 to P: Gold, 3 times."));
        assert!(!rendered.html.contains("href"));
    }

    #[test]
    fn every_letter_shows_its_link() {
        for (template, link) in [
            (Template::EmailVerification, "emailVerificationLink"),
            (Template::PasswordReset, "passwordResetLink"),
            (Template::MagicLink, "magicLink"),
            (Template::TeamInvitation, "teamInvitationLink"),
            (Template::SignInInvitation, "signInInvitationLink"),
            (Template::PaymentReceipt, "receiptLink"),
            (Template::PaymentFailed, "invoiceUrl"),
        ] {
            let letter = letter(&[(link, "https://x.example.com/#1"), ("otp", "ABC123")]);
            let rendered = render(template, "P", &letter).unwrap();
            assert!(rendered.text.contains("https://x.example.com/#1"));
            assert!(
                rendered
                    .html
                    .contains("href=\"https:&#x2f;&#x2f;x.example.com")
            );
        }
    }
}
