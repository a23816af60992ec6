//! Logins in the desktop's Secret Service (freedesktop.org Secret Storage, draft 0.2) over D-Bus.

use super::{Id, Label, Result, Store, StoreError};
use property::Property;
use rustbus::{
    MessageBuilder, MessageType, RpcConn,
    connection::Timeout,
    message_builder::{MarshalledMessage, MarshalledMessageBody},
    wire::{ObjectPath, errors::MarshalError, unmarshal::traits::Variant},
};
use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
/// Stands for "none" where a path is wanted.
const NOTHING: &str = "/";
/// Longest wait for an answer that needs nobody.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for somebody who types the keyring's password.
const PROMPT_LIMIT: Duration = Duration::from_secs(120);

type Path = ObjectPath<String>;

/// A connection to the service.
pub(super) struct SecretService {
    bus: RefCell<RpcConn>,
}

mod property {
    //! The derived code means the standard's `Result`.
    use std::collections::HashMap;

    /// A property of a new item.
    #[derive(rustbus::Marshal, rustbus::Signature)]
    pub(super) enum Property {
        Label(String),
        Attributes(HashMap<String, String>),
    }
}

/// `(oayays)`: session, parameters, value, content type.
type Secret = (Path, Vec<u8>, Vec<u8>, String);

impl SecretService {
    /// True where one runs and its usual keyring is open: nobody has to be asked.
    pub(super) fn is_open() -> bool {
        let looked = || -> Result<bool> {
            let service = Self::connect()?;
            // Not asked itself at first: that would start one that nobody uses.
            let body = service.call(
                ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"],
                "NameHasOwner",
                |body| body.push_param(NAME),
            )?;
            if !body.parser().get::<bool>().map_err(wrong)? {
                return Ok(false);
            }
            let collection = service.usual_collection()?;
            Ok(collection.as_ref() != NOTHING && !service.is_locked(collection.as_ref())?)
        };
        looked().unwrap_or_default()
    }

    /// Connects to the session bus.
    pub(super) fn connect() -> Result<Self> {
        let bus = RpcConn::session_conn(Timeout::Duration(LIMIT)).map_err(|error| {
            StoreError::Keyring(format!(
                "no session bus ({error}); is DBUS_SESSION_BUS_ADDRESS set?"
            ))
        })?;
        Ok(Self { bus: RefCell::new(bus) })
    }

    fn call(
        &self,
        [at, on, interface]: [&str; 3],
        member: &str,
        fill: impl FnOnce(&mut MarshalledMessageBody) -> std::result::Result<(), MarshalError>,
    ) -> Result<MarshalledMessageBody> {
        let builder = MessageBuilder::new().call(member).with_interface(interface).on(on).at(at);
        let mut message = builder.build();
        fill(&mut message.body).map_err(wrong)?;
        let answer = self.send(&mut message)?;
        if answer.typ == MessageType::Error {
            let name = answer.dynheader.error_name.clone().unwrap_or_default();
            let text = answer.body.parser().get::<String>().unwrap_or_default();
            return Err(StoreError::Keyring(format!("{member}: {name} {text}")));
        }
        Ok(answer.body)
    }

    fn send(&self, message: &mut MarshalledMessage) -> Result<MarshalledMessage> {
        let mut bus = self.bus.borrow_mut();
        let limit = Timeout::Duration(LIMIT);
        let sent = bus.send_message(message).map_err(wrong)?.write(limit);
        let serial = sent.map_err(|(unsent, error)| {
            unsent.force_finish();
            wrong(error)
        })?;
        bus.wait_response(serial, limit).map_err(wrong)
    }

    fn usual_collection(&self) -> Result<Path> {
        let body =
            self.call([NAME, ROOT, SERVICE], "ReadAlias", |body| body.push_param("default"))?;
        path(&body)
    }

    fn is_locked(&self, collection: &str) -> Result<bool> {
        let interface = "org.freedesktop.DBus.Properties";
        let body = self.call([NAME, collection, interface], "Get", |body| {
            body.push_param2(COLLECTION, "Locked")
        })?;
        let locked: Variant<'_, '_> = body.parser().get().map_err(wrong)?;
        locked.get().map_err(wrong)
    }

    /// The bus is a socket of the user's own: a cipher on it would keep out nobody who could not
    /// ask the service too.
    fn session(&self) -> Result<Path> {
        let body = self.call([NAME, ROOT, SERVICE], "OpenSession", |body| {
            body.push_param("plain")?;
            body.push_variant("")
        })?;
        let mut parser = body.parser();
        let (_, session): (Variant<'_, '_>, ObjectPath<&str>) = parser.get2().map_err(wrong)?;
        owned(session)
    }

    fn unlock(&self, what: &str) -> Result<()> {
        let object = ObjectPath::new(what.to_owned()).map_err(wrong)?;
        let body =
            self.call([NAME, ROOT, SERVICE], "Unlock", |body| body.push_param(vec![object]))?;
        let mut parser = body.parser();
        let (_, prompt): (Vec<ObjectPath<&str>>, ObjectPath<&str>) =
            parser.get2().map_err(wrong)?;
        self.follow(prompt.as_ref())
    }

    /// Has the desktop ask its user, where the service wants that.
    fn follow(&self, prompt: &str) -> Result<()> {
        if prompt == NOTHING {
            return Ok(());
        }
        let rule = format!("type='signal',interface='{PROMPT}',path='{prompt}'");
        let bus_itself = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];
        self.call(bus_itself, "AddMatch", |body| body.push_param(rule.as_str()))?;
        self.call([NAME, prompt, PROMPT], "Prompt", |body| body.push_param(""))?;
        let end = Instant::now() + PROMPT_LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let waited = self.bus.borrow_mut().wait_signal(Timeout::Duration(left));
            let signal = waited.map_err(|_| {
                StoreError::Keyring("it is locked, and nobody has opened it".to_owned())
            })?;
            let header = &signal.dynheader;
            if header.member.as_deref() != Some("Completed")
                || header.object.as_deref() != Some(prompt)
            {
                continue;
            }
            return match signal.body.parser().get::<bool>().map_err(wrong)? {
                true => Err(StoreError::Keyring("it is locked, and stays so".to_owned())),
                false => Ok(()),
            };
        }
    }

    fn find(&self, id: &Id) -> Result<Option<Path>> {
        let wanted = attributes(id);
        let body =
            self.call([NAME, ROOT, SERVICE], "SearchItems", |body| body.push_param(&wanted))?;
        let mut parser = body.parser();
        let (open, locked): (Vec<ObjectPath<&str>>, Vec<ObjectPath<&str>>) =
            parser.get2().map_err(wrong)?;
        if let Some(item) = open.into_iter().next() {
            return owned(item).map(Some);
        }
        let Some(item) = locked.into_iter().next() else { return Ok(None) };
        self.unlock(item.as_ref())?;
        owned(item).map(Some)
    }
}

impl Store for SecretService {
    fn read(&self, id: &Id) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(item) = self.find(id)? else { return Ok(None) };
        let session = self.session()?;
        let body =
            self.call([NAME, item.as_ref(), ITEM], "GetSecret", |body| body.push_param(&session))?;
        let (_, _, value, _): (ObjectPath<&str>, &[u8], &[u8], &str) =
            body.parser().get().map_err(wrong)?;
        Ok(Some(Zeroizing::new(value.to_vec())))
    }

    fn write(&self, label: &Label, content: &[u8]) -> Result<()> {
        let collection = self.usual_collection()?;
        if collection.as_ref() == NOTHING {
            return Err(StoreError::Keyring("it has no default keyring; make one".to_owned()));
        }
        if self.is_locked(collection.as_ref())? {
            self.unlock(collection.as_ref())?;
        }
        let property = |name: &str| format!("{ITEM}.{name}");
        let shown = format!("mccli: login at {}", label.issuer);
        let properties = HashMap::from([
            (property("Label"), Property::Label(shown)),
            (property("Attributes"), Property::Attributes(attributes(&label.id()))),
        ]);
        let secret: Secret =
            (self.session()?, Vec::new(), content.to_vec(), "application/json".to_owned());
        let body = self.call([NAME, collection.as_ref(), COLLECTION], "CreateItem", |body| {
            body.push_param3(&properties, &secret, true)
        })?;
        let mut parser = body.parser();
        let (_, prompt): (ObjectPath<&str>, ObjectPath<&str>) = parser.get2().map_err(wrong)?;
        self.follow(prompt.as_ref())
    }

    fn remove(&self, id: &Id) -> Result<()> {
        let Some(item) = self.find(id)? else { return Ok(()) };
        let body = self.call([NAME, item.as_ref(), ITEM], "Delete", |_| Ok(()))?;
        self.follow(path(&body)?.as_ref())
    }
}

fn attributes(id: &Id) -> HashMap<String, String> {
    [("application", "mccli"), ("login", id.as_str())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn path(body: &MarshalledMessageBody) -> Result<Path> {
    owned(body.parser().get().map_err(wrong)?)
}

fn owned(path: ObjectPath<&str>) -> Result<Path> {
    ObjectPath::new(path.as_ref().to_owned()).map_err(wrong)
}

fn wrong(error: impl std::fmt::Debug) -> StoreError {
    StoreError::Keyring(format!("{error:?}"))
}
