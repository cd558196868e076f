//! Messages as customers would get them, and our page for them.

use super::{Brand, Engine, StaffError, outbox};
use crate::domain::campaign::Campaign;
use crate::domain::case::Case;
use crate::domain::ceiling::Grounds;
use crate::domain::command::{Decision, Moment, Reason};
use crate::domain::decide::decide;
use crate::domain::event::{CustomerAction, Event, MigrateHow, StaffAction};
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::message::Message;
use crate::links::Links;
use crate::mailer::render::RenderError;
use crate::mailer::{Locale, MailContext, Rendered, Templates};
use crate::store::StoreError;

impl Engine {
    /// The messages.
    pub fn templates(&self) -> &Templates {
        &self.inner.templates
    }

    /// A message with made-up facts and the configured brand, as the `nth` of its kind, counted from 0. Its pictures stand inside the
    /// HTML, so that a browser shows them.
    pub fn preview(&self, message: Message, nth: usize, locale: &Locale) -> Result<Rendered, RenderError> {
        let brand = &self.inner.brand;
        let sample = MailContext::samples(message).swap_remove(0);
        let context = MailContext {
            company_name: brand.company.clone(),
            support_contact: brand.support.clone(),
            look: brand.look.clone(),
            ..sample
        };
        let mut rendered = self.inner.templates.render(message, nth, locale, &context)?;
        for picture in std::mem::take(&mut rendered.pictures) {
            rendered.html = picture.inside(&rendered.html);
        }
        Ok(rendered)
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

    /// What would become of a case if staff moved it to another version of a campaign; nothing is written.
    pub async fn would_migrate(
        &self,
        case: &Case,
        campaign: &Campaign,
        how: MigrateHow,
    ) -> Result<Result<Case, Reason>, StoreError> {
        let campaign = Box::new(campaign.clone());
        self.would(case, StaffAction::Migrate { campaign, how }).await
    }

    /// What would become of a case if staff asked for this now, or why it would be refused; nothing is written.
    pub async fn would(&self, case: &Case, action: StaffAction) -> Result<Result<Case, Reason>, StoreError> {
        let pinned = self.campaign(&case.campaign).await?;
        let (learned, history) = (self.learned(), self.history(case).await?);
        let moment = Moment {
            now: self.clock().now(),
            campaign: &pinned,
            shadow: None,
            fresh_attempt: &AttemptId::from("nothing is charged".to_owned()),
            grounds: Grounds {
                codes: self.codes(&case.connection),
                learned: &learned,
                rules: self.rules(),
                history: &history,
            },
            resend_secs: 0,
        };
        let event = Event::Staff {
            action,
            actor: String::new(),
            comment: None,
        };
        Ok(match decide(case, &event, &moment) {
            Decision::Changed(change) => Ok(change.case),
            Decision::Ignored(reason) => Err(reason),
        })
    }

    /// Reads at once what others would hear of within the hour: which campaigns there are.
    pub async fn hear_of_campaigns(&self) -> Result<(), StoreError> {
        self.inner.campaigns.refresh(&*self.inner.storage).await
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
