//! The calls of the registration service that we use, with their answers read.

use super::{
    BwIdm,
    record::{LOGIN, Record, RegGroup, login_of, made_key},
    rest::Answer,
};
use crate::backend::BackendError;
use motley_proto::{GroupName, Identity, UserName};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether a registration is complete.
const POLL: Duration = Duration::from_millis(250);
/// Status of a registration that holds.
const ACTIVE: &str = "ACTIVE";

impl BwIdm {
    /// The record of an identity.
    pub(super) async fn record_of(
        &self,
        identity: &Identity,
    ) -> Result<Option<Record>, BackendError> {
        let id = identity.unique_id();
        match self.rest.get(&["external-user", "find", "externalId", id.as_str()]).await? {
            Answer::Absent => Ok(None),
            Answer::Present(value) => match Record::read(value) {
                Some(record) if record.external_id == id.as_str() => Ok(Some(record)),
                _ => Err(self.rest.unavailable("answers with something that is no such record")),
            },
        }
    }

    /// The records that have a local name.
    pub(super) async fn records_named(&self, name: &UserName) -> Result<Vec<Record>, BackendError> {
        // A name of another form can't be one of this organisation.
        let Ok(login) = login_of(name, &self.config.organisation) else { return Ok(Vec::new()) };
        let path = ["external-user", "find", "attribute", LOGIN, login.as_str()];
        let Answer::Present(value) = self.rest.get(&path).await? else { return Ok(Vec::new()) };
        let garbled = || self.rest.unavailable("answers with something that is no list of records");
        let Value::Array(list) = value else { return Err(garbled()) };
        let mut found = Vec::new();
        for value in list {
            let record = Record::read(value).ok_or_else(garbled)?;
            if record.name(&self.config.organisation).as_ref() == Some(name) {
                found.push(record);
            }
        }
        Ok(found)
    }

    /// Makes an empty record and lets it be used.
    pub(super) async fn create(&self, identity: &Identity) -> Result<Record, BackendError> {
        let id = identity.unique_id();
        let body = json!({ "externalId": id.as_str() });
        self.rest.post(&["external-user", "create"], &body).await?;
        self.known(identity).await
    }

    pub(super) async fn activate(&self, identity: &Identity) -> Result<Record, BackendError> {
        let id = identity.unique_id();
        self.rest.get(&["external-user", "activate", "externalId", id.as_str()]).await?;
        self.known(identity).await
    }

    /// The record that must be there, after something was done with it.
    pub(super) async fn known(&self, identity: &Identity) -> Result<Record, BackendError> {
        let missing = || self.rest.unavailable("does not know a record that it has just taken");
        self.record_of(identity).await?.ok_or_else(missing)
    }

    pub(super) async fn write(&self, record: &Record) -> Result<(), BackendError> {
        match self.rest.post(&["external-user", "update"], &record.to_value()).await? {
            Answer::Present(_) => Ok(()),
            Answer::Absent => Err(BackendError::NoAccount),
        }
    }

    pub(super) async fn is_registered(&self, external_id: &str) -> Result<bool, BackendError> {
        let path = ["external-reg", "find", "externalId", external_id];
        let Answer::Present(value) = self.rest.get(&path).await? else { return Ok(false) };
        let Value::Array(list) = value else {
            let what = "answers with something that is no list of registrations";
            return Err(self.rest.unavailable(what));
        };
        let is = |entry: &Value, key: &str, text: &str| {
            entry.get(key).and_then(Value::as_str) == Some(text)
        };
        let service = self.config.service.as_str();
        Ok(list.iter().any(|entry| {
            is(entry, "serviceShortName", service) && is(entry, "registryStatus", ACTIVE)
        }))
    }

    /// Registers for our service and waits until that holds, for a bounded time.
    pub(super) async fn register(&self, external_id: &str) -> Result<(), BackendError> {
        self.registration("register", external_id, true).await
    }

    pub(super) async fn deregister(&self, external_id: &str) -> Result<(), BackendError> {
        self.registration("deregister", external_id, false).await
    }

    async fn registration(
        &self,
        verb: &'static str,
        external_id: &str,
        wanted: bool,
    ) -> Result<(), BackendError> {
        if self.is_registered(external_id).await? == wanted {
            return Ok(());
        }
        let ssn = self.config.service.as_str();
        self.rest.get(&["external-reg", verb, "externalId", external_id, "ssn", ssn]).await?;
        let until = Instant::now() + self.config.patience;
        while self.is_registered(external_id).await? != wanted {
            if Instant::now() >= until {
                let what =
                    format!("has not carried out `{verb}` within {:?}", self.config.patience);
                return Err(self.rest.unavailable(&what));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Has a group of the service made. In `Ok(Err(_))` is why it was not.
    ///
    /// # Errors
    /// When the service gives no answer: then nobody knows.
    pub(super) async fn create_group(
        &self,
        name: &GroupName,
    ) -> Result<Result<(), BackendError>, BackendError> {
        let ssn = self.config.service.as_str();
        let answer = self.rest.answer_to(&["group-admin", "create", ssn, name.as_str()]).await?;
        Ok(answer.map(|_| ()))
    }

    /// True when some record notes that we made this group.
    pub(super) async fn is_made_by_us(&self, group: &RegGroup) -> Result<bool, BackendError> {
        let key = made_key(&self.config.service, &group.name);
        let id = group.id.to_string();
        let path = ["external-user", "find", "attribute", key.as_str(), id.as_str()];
        let Answer::Present(value) = self.rest.get(&path).await? else { return Ok(false) };
        let garbled = || self.rest.unavailable("answers with something that is no list of records");
        let Value::Array(list) = value else { return Err(garbled()) };
        // The service is asked for it, and not taken at its word.
        let notes = |value: Value| Record::read(value).is_some_and(|it| it.notes_made(&key, &id));
        Ok(list.into_iter().any(notes))
    }

    pub(super) async fn group_named(
        &self,
        name: &GroupName,
    ) -> Result<Option<RegGroup>, BackendError> {
        match self.rest.get(&["group-admin", "find", "name", name.as_str()]).await? {
            Answer::Absent => Ok(None),
            Answer::Present(value) => match RegGroup::read(&value) {
                Some(group) if group.name == name.as_str() => Ok(Some(group)),
                _ => Err(self.rest.unavailable("answers with something that is no such group")),
            },
        }
    }

    /// Adds a person to a group (`add`) or takes it out (`remove`).
    pub(super) async fn member(
        &self,
        verb: &'static str,
        group: &RegGroup,
        record: &Record,
    ) -> Result<(), BackendError> {
        let (group, user) = (group.id.to_string(), record.id.to_string());
        let path = ["group-admin", verb, "groupId", group.as_str(), "userId", user.as_str()];
        self.rest.get(&path).await.map(|_| ())
    }
}
