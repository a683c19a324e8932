//! The form of an action.

use maud::{Markup, html};
use operations::{REASON_MAX_CHARS, Why};

use crate::Console;
use crate::fields::Fields;
use crate::trouble::Trouble;
use crate::visit::Visit;

/// What a form is about.
pub struct Form<'a> {
    /// What the button says.
    pub button: &'a str,
    /// Further fields.
    pub more: Markup,
    /// Whether the history records why.
    pub wants_reason: bool,
    /// Why the action would be refused now.
    pub off: Option<&'a str>,
    /// Where to go without doing it.
    pub back: String,
}

impl Console {
    /// The form.
    pub fn form(&self, visit: &Visit, form: &Form<'_>) -> Markup {
        let token = self.tokens.of(visit.who.subject(), visit.uri.path());
        html! {
            form.action method="post" action=(visit.uri.path()) {
                input type="hidden" name="token" value=(token);
                (form.more)
                @if form.wants_reason {
                    label for="reason" { "Why? It is recorded in the history." }
                    textarea #reason name="reason" rows="2" required maxlength=(REASON_MAX_CHARS) {}
                }
                label for="for" { "For whom, if not for yourself" }
                input #for type="text" name="for" maxlength=(REASON_MAX_CHARS) autocomplete="off";
                p.buttons {
                    button.do type="submit" disabled[form.off.is_some()] { (form.button) }
                    a.more href=(form.back) { "Leave it as it is" }
                }
                @if let Some(off) = form.off { p.gap { "This is off: " (off) "." } }
            }
        }
    }

    /// The fields of a form that this process made for this visitor.
    pub fn posted(&self, visit: &Visit, body: &[u8]) -> Result<Fields, Trouble> {
        let fields = Fields::parse(body);
        let token = fields.get("token").unwrap_or_default();
        if self
            .tokens
            .fits(token, visit.who.subject(), visit.uri.path())
        {
            return Ok(fields);
        }
        Err(Trouble::Refused(
            "the form is from before the console was started, or not from it: open it again".into(),
        ))
    }
}

/// Who wants it, and why.
pub fn why(visit: &Visit, fields: &Fields) -> Result<Why, Trouble> {
    let reason = fields.get("reason").unwrap_or_default();
    Why::new(visit.who.subject(), fields.get("for"), reason)
        .map_err(|error| Trouble::Unclear(error.to_string()))
}
