//! A Redis that not everybody may reach, and one that several installations share.

use std::process::Stdio;

use domain::request::Sequence;
use harness::{Certificates, World};
use projections::{Connection, Options, Store};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::KEEP;

/// A Redis that speaks TLS alone and asks for a certificate.
struct Encrypted {
    _server: Child,
    port: u16,
    certificates: Certificates,
    _folder: TempDir,
}

impl Encrypted {
    /// `None` where redis-server was built without TLS.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(folder.path());
        let port = servers::free_port().unwrap();
        let mut server = Command::new(servers::find(&["redis-server"]).unwrap());
        server
            .args(["--port", "0", "--save", "", "--tls-port", &port.to_string()])
            .args(["--bind", "127.0.0.1", "--dir"])
            .arg(folder.path())
            .arg("--tls-cert-file")
            .arg(&certificates.server.0)
            .arg("--tls-key-file")
            .arg(&certificates.server.1)
            .arg("--tls-ca-cert-file")
            .arg(&certificates.ca)
            .args(["--user", "default", "off"])
            .args(["--user", "fanfold", "on", ">s3cret", "~a:*", "+@all"])
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mut server = server.spawn().unwrap();
        let answers = || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        };
        tokio::select! {
            () = harness::until("Redis listens", answers) => {}
            _ = server.wait() => return None,
        }
        Some(Self {
            _server: server,
            port,
            certificates,
            _folder: folder,
        })
    }

    fn options(&self) -> Options {
        Options {
            url: format!("rediss://127.0.0.1:{}", self.port).into(),
            user: Some("fanfold".into()),
            password: Some("s3cret".into()),
            ca: Some(self.certificates.ca.clone()),
            certificate: Some(self.certificates.client.clone()),
            prefix: "a:".into(),
        }
    }
}

#[tokio::test]
async fn redis_is_reached_over_tls_with_a_certificate_and_a_user_of_its_access_list() {
    let Some(redis) = Encrypted::start().await else {
        eprintln!("redis-server has no TLS: nothing was tested");
        return;
    };
    let connection = Connection::open(redis.options()).await.unwrap();
    let store = Store::new(connection, KEEP);
    let (none, seven) = (Sequence::NONE, Sequence::new(7));
    store.advance(0, none, seven).await.unwrap();
    assert_eq!(store.checkpoint(0).await.unwrap(), seven);
    let no_certificate = Options {
        certificate: None,
        ..redis.options()
    };
    let no_ca = Options {
        ca: None,
        ..redis.options()
    };
    let wrong = Options {
        password: Some("w0rd".into()),
        ..redis.options()
    };
    for refused in [no_certificate, no_ca, wrong] {
        let said = Connection::open(refused).await.err().unwrap().to_string();
        assert!(!said.contains("w0rd") && !said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn two_installations_with_prefixes_share_a_redis_and_see_only_their_own_keys() {
    let world = World::start().await;
    let of = |prefix: &str| Options {
        prefix: prefix.into(),
        ..Options::from(world.redis_url())
    };
    let (none, seven) = (Sequence::NONE, Sequence::new(7));
    let a = Store::new(Connection::open(of("a:")).await.unwrap(), KEEP);
    let b = Store::new(Connection::open(of("b:")).await.unwrap(), KEEP);
    a.advance(0, none, seven).await.unwrap();
    assert_eq!(a.checkpoint(0).await.unwrap(), seven);
    assert_eq!(b.checkpoint(0).await.unwrap(), none);
    let id = crate::new_id();
    let commits = [vec![crate::received()]];
    let view = projections::fold(None, crate::recorded(id, &commits)).unwrap();
    a.put(&view, Sequence::new(10)).await.unwrap();
    let mut keys = a.view_keys().await.unwrap();
    let mut found = Vec::new();
    while let Some(some) = keys.next().await.unwrap() {
        found.extend(some);
    }
    assert!(found.iter().any(|key| key.request == id), "{found:?}");
    for key in &found {
        assert!(a.has_key(key).await.unwrap());
        assert!(!b.has_key(key).await.unwrap());
    }
    let mut others = b.view_keys().await.unwrap();
    while let Some(some) = others.next().await.unwrap() {
        assert!(some.is_empty(), "{some:?}");
    }
}

#[tokio::test]
async fn the_checkpoint_is_read_without_the_right_to_write() {
    let world = World::own().await;
    let writer = crate::store(&world).await;
    writer
        .advance(0, Sequence::NONE, Sequence::new(7))
        .await
        .unwrap();
    let mut admin = world.redis().await;
    let mut user = redis::cmd("ACL");
    user.arg(&[
        "SETUSER", "reader", "on", ">pw", "~*", "+ping", "+get", "+select", "+info",
    ]);
    user.arg(&[
        "+client|setname",
        "+client|setinfo",
        "+hello",
        "+script|load",
    ]);
    let mut made: redis::RedisResult<String> = user.query_async(&mut admin).await;
    if made.is_err() {
        // Redis 7.0 does not know `client|setinfo`.
        let mut user = redis::cmd("ACL");
        user.arg(&[
            "SETUSER", "reader", "on", ">pw", "~*", "+ping", "+get", "+select", "+info",
        ]);
        user.arg(&["+client|setname", "+hello", "+script|load"]);
        made = user.query_async(&mut admin).await;
    }
    made.unwrap();
    let options = Options {
        user: Some("reader".into()),
        password: Some("pw".into()),
        ..Options::from(world.redis_url())
    };
    let reader = Store::new(Connection::open(options).await.unwrap(), KEEP);
    assert_eq!(reader.checkpoint(0).await.unwrap(), Sequence::new(7));
}

#[tokio::test]
async fn a_redis_that_refuses_the_password_is_not_waited_for_and_an_absent_one_is() {
    let world = World::own().await;
    let mut admin = world.redis().await;
    let mut protect = redis::cmd("CONFIG");
    protect.arg(&["SET", "requirepass", "s3cret"]);
    let _: String = protect.query_async(&mut admin).await.unwrap();
    let with = |password: Option<&str>| Options {
        password: password.map(Into::into),
        ..Options::from(world.redis_url())
    };
    Connection::open_or_later(with(Some("s3cret")))
        .await
        .unwrap();
    for password in [Some("w0rd"), None] {
        let refused = Connection::open_or_later(with(password)).await;
        let said = refused.err().unwrap().to_string();
        assert!(!said.contains("w0rd"), "{said}");
    }
    let absent = Options {
        password: Some("s3cret".into()),
        ..Options::from("redis://127.0.0.1:1")
    };
    let later = Connection::open_or_later(absent).await.unwrap();
    assert!(later.ping().await.is_err());
}
