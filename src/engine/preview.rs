//! Messages as customers would get them, and our page for them.

use super::{Brand, Engine, StaffError, outbox};
use crate::domain::case::Case;
use crate::domain::event::{CustomerAction, Event};
use crate::domain::ids::CaseId;
use crate::domain::message::Message;
use crate::links::Links;
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

    /// What our page tells a customer of a case.
    pub fn facts(&self, case: &Case) -> Option<MailContext> {
        let connection = self.inner.connections.get(&case.connection)?;
        Some(outbox::facts(&self.inner, connection, case))
    }

    /// What a page tells of no case at all.
    pub fn no_facts(&self) -> MailContext {
        let brand = &self.inner.brand;
        MailContext {
            company_name: brand.company.clone(),
            ..MailContext::samples(Message::Reminder).swap_remove(0)
        }
    }

    /// The language of a customer.
    pub fn locale(&self, case: &Case) -> &'static Locale {
        let connection = self.inner.connections.get(&case.connection);
        let default = connection.map(|connection| connection.default_locale.as_str());
        Locale::pick(case.contact.locale.as_deref(), default)
    }

    /// The links to our page, where there is one.
    pub fn links(&self) -> Option<&Links> {
        self.inner.brand.links.as_ref()
    }

    /// How our page looks, and whose it is.
    pub fn brand(&self) -> &Brand {
        &self.inner.brand
    }

    /// Does what a customer asks for on our page.
    pub async fn customer(&self, id: &CaseId, action: CustomerAction) -> Result<Case, StaffError> {
        self.act(id, Event::Customer(action), "customer").await
    }
}
