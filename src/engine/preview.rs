//! Messages as customers would get them.

use super::Engine;
use crate::domain::message::Message;
use crate::mailer::render::RenderError;
use crate::mailer::{Locale, MailContext, Rendered, Templates};

impl Engine {
    /// The messages.
    pub fn templates(&self) -> &Templates {
        &self.inner.templates
    }

    /// A message with made-up facts and the configured brand, as the `nth` of its kind, counted from 0.
    pub fn preview(&self, message: Message, nth: usize, locale: &Locale) -> Result<Rendered, RenderError> {
        let brand = &self.inner.brand;
        let sample = MailContext::samples(message).swap_remove(0);
        let context = MailContext {
            company_name: brand.company.clone(),
            support_contact: brand.support.clone(),
            look: brand.look.clone(),
            ..sample
        };
        self.inner.templates.render(message, nth, locale, &context)
    }
}
