//! The back end against a scripted root helper and account files of its own.

use super::*;
use crate::groups::Groups;
use crate::person::Person;
use crate::root::Channel;
use motley_proto::{
    Issuer, Subject,
    frame::{Cap, Decoder, encode},
    task::{NewAccount, TaskAnswer, TaskRefusal},
};
use std::{
    collections::VecDeque,
    fs, io,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// What the helper does with the next task.
enum Act {
    Answer(Box<TaskAnswer>),
    HangUp,
    Garbage,
    Silence,
}

/// A helper that plays its script and writes down what it was asked.
struct Helper {
    script: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<Task>>,
    connections: AtomicU32,
}

impl Helper {
    fn asked(&self) -> Vec<Task> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(self: Arc<Self>, listener: UnixListener) {
        while let Ok((stream, _)) = listener.accept().await {
            self.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(Arc::clone(&self).converse(stream));
        }
    }

    async fn converse(self: Arc<Self>, mut stream: UnixStream) {
        while let Some(task) = read_task(&mut stream).await {
            self.asked.lock().unwrap().push(task);
            let act = self.script.lock().unwrap().pop_front();
            match act.unwrap_or_else(|| answer(TaskDone::Inspected(None))) {
                Act::Answer(answer) => {
                    stream.write_all(&encode(&*answer, Cap::TASK).unwrap()).await.unwrap();
                }
                Act::HangUp => return,
                Act::Garbage => stream.write_all(&[0, 0, 0, 3, 9, b'{', b'}']).await.unwrap(),
                Act::Silence => std::future::pending().await,
            }
        }
    }
}

async fn read_task(stream: &mut UnixStream) -> Option<Task> {
    let mut decoder = Decoder::new(Cap::TASK);
    let mut buffer = [0; 1024];
    while decoder.wanted() > 0 {
        let wanted = decoder.wanted().min(buffer.len());
        let count = stream.read(&mut buffer[..wanted]).await.ok().filter(|count| *count > 0)?;
        decoder.push(&buffer[..count]).unwrap();
    }
    Some(decoder.finish().unwrap())
}

/// Nobody but those in passwd, one name in a directory elsewhere, and one of which it does not tell.
struct Names;

impl NameService for Names {
    fn has_user(&self, name: &UserName) -> io::Result<bool> {
        match name.as_str() {
            "unsure" => Err(io::ErrorKind::NotConnected.into()),
            text => Ok(text == "ldapuser"),
        }
    }
    fn has_uid(&self, uid: Uid) -> io::Result<bool> {
        match uid.get() {
            5999 => Err(io::ErrorKind::NotConnected.into()),
            number => Ok(number == 5000),
        }
    }
}

struct Bench {
    root: TempDir,
    helper: Arc<Helper>,
    backend: LocalUnix,
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    broken line\n\
    jdoe:x:2001:2000:sub-1@https%3A%2F%2Fop.example%2F:/home/jdoe:/bin/sh\n\
    moved:x:2002:2000:sub-2@https%3A%2F%2Fop.example%2F,101,,:/home/moved:/sbin/nologin\n\
    local:x:2003:2003:A Local Person,,,:/home/local:/bin/zsh\n\
    twice:x:2004:2000:sub-1@https%3A%2F%2Fother.example:/home/twice:/bin/sh\n\
    again:x:2005:2000:sub-1@https%3A%2F%2Fother.example:/home/again:/bin/sh\n";
const GROUP: &str = "root:x:0:\nwlcg:x:2000:\nzeta:x:2010:jdoe,local\nalpha:x:2011:jdoe\nodd\n";

fn bench(script: impl IntoIterator<Item = Act>) -> Bench {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    fs::create_dir(&etc).unwrap();
    fs::write(etc.join("passwd"), PASSWD).unwrap();
    fs::write(etc.join("group"), GROUP).unwrap();
    fs::write(etc.join("shadow"), "").unwrap();
    let socket = root.path().join("task.sock");
    let helper = Arc::new(Helper {
        script: Mutex::new(script.into_iter().collect()),
        asked: Mutex::default(),
        connections: AtomicU32::new(0),
    });
    tokio::spawn(Arc::clone(&helper).serve(UnixListener::bind(&socket).unwrap()));
    let config = LocalUnixConfig::standard().unwrap();
    let backend = LocalUnix::with_sources(config, &socket, root.path(), Arc::new(Names));
    let mut bench = Bench { root, helper, backend };
    bench.channel().trust_server(nix::unistd::getuid().as_raw());
    bench
}

impl Bench {
    fn channel(&mut self) -> &mut Channel {
        Arc::get_mut(&mut self.backend.host).unwrap().channel()
    }
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn groups(names: &[&str]) -> Vec<GroupName> {
    names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example/").unwrap(), Subject::new(subject).unwrap())
}

fn intent(subject: &str, user: &str) -> Intent {
    Intent {
        identity: identity(subject),
        name: name(user),
        uid: Some(Uid::new(3000).unwrap()),
        uid_floor: None,
        person: Person::default(),
        groups: Groups {
            primary: GroupName::new("wlcg").unwrap(),
            supplementary: groups(&["alpha", "beta", "wlcg"]),
            dropped: Vec::new(),
        },
        shell: AccountPath::new("/bin/sh").unwrap(),
        home_base: AccountPath::new("/home").unwrap(),
    }
}

fn facts(user: &str, subject: &str) -> AccountFacts {
    AccountFacts {
        name: name(user),
        uid: 2001,
        gid: 2000,
        primary_group: Some("wlcg".to_owned()),
        groups: vec!["alpha".to_owned(), "zeta".to_owned()],
        managed_groups: Vec::new(),
        managed_primary: false,
        gecos: identity(subject).unique_id().as_str().to_owned(),
        home: format!("/home/{user}"),
        shell: "/bin/sh".to_owned(),
        expired: false,
        identity: Some(identity(subject)),
    }
}

fn answer(done: TaskDone) -> Act {
    Act::Answer(Box::new(Ok(done)))
}

fn inspected(facts: AccountFacts) -> Act {
    answer(TaskDone::Inspected(Some(facts)))
}

fn refused(refusal: TaskRefusal) -> Act {
    Act::Answer(Box::new(Err(refusal)))
}

mod asking;
mod deploying;
mod leaving;
mod looking;
