use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{Extensions, HeaderMap, HeaderName, Uri};
use domain::access::Role;
use runtime::{CallersConfig, Settings};

use super::keys::{KeyFile, Line, NewKey, Proof};
use super::*;

fn config(set: &[(&str, &str)]) -> CallersConfig {
    let find = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::load(None, find, |_| None).unwrap().callers
}

fn headers(of: &[(HeaderName, &str)]) -> HeaderMap {
    let of = of
        .iter()
        .map(|(name, value)| (name.clone(), value.parse().unwrap()));
    of.collect()
}

fn line(id: &str, proof: Proof, subject: &str, grants: &str) -> Line {
    Line {
        id: id.into(),
        proof,
        subject: subject.parse().unwrap(),
        grants: grants
            .split(',')
            .map(|grant| grant.parse().unwrap())
            .collect(),
        expires: None,
    }
}

/// A keys file with these lines, and the authenticators that read it.
fn auth(lines: Vec<Line>) -> (tempfile::TempDir, Auth) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let mut file = KeyFile::default();
    for line in lines {
        file.add(line);
    }
    std::fs::write(&path, file.to_string()).unwrap();
    let config = config(&[("AUTH_KEYS_FILE", path.to_str().unwrap())]);
    (folder, Auth::new(&config, Vec::new()).unwrap())
}

async fn admit(auth: &Auth, action: Action, credential: Option<&str>) -> Result<String, Refusal> {
    let mut headers = HeaderMap::new();
    if let Some(credential) = credential {
        headers.insert(
            AUTHORIZATION,
            format!("Bearer {credential}").parse().unwrap(),
        );
    }
    let admitted = auth.admit(action, &headers, &Extensions::new()).await?;
    Ok(admitted.subject().to_string())
}

#[tokio::test]
async fn a_key_proves_its_subject_and_a_bad_one_proves_nothing() {
    let (new, other) = (NewKey::make().unwrap(), NewKey::make().unwrap());
    assert_eq!(new.key.len(), "ff_".len() + 10 + 1 + 43, "{}", new.key);
    let mut ended = line(&other.id, Proof::Key(other.sha256), "bob", "default:read");
    ended.expires = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let own = line(&new.id, Proof::Key(new.sha256), "ann", "default:read");
    let (_folder, auth) = auth(vec![own, ended]);
    assert_eq!(
        admit(&auth, Action::Read, Some(&new.key)).await.unwrap(),
        "ann"
    );
    let forbidden = admit(&auth, Action::Operate, Some(&new.key))
        .await
        .unwrap_err();
    let missing = |refusal: &Refusal| match refusal {
        Refusal::Forbidden { missing, .. } => Some(*missing),
        _ => None,
    };
    assert_eq!(missing(&forbidden), Some(Role::Operate));
    assert_eq!(
        admit(&auth, Action::Read, None).await,
        Err(Refusal::Missing)
    );
    let secret = new.key.rsplit_once('_').map_or("", |(_, secret)| secret);
    for bad in [
        other.key.as_str(),
        "ff_",
        "ff_x",
        &new.key[..new.key.len() - 1],
        &format!("{}x", new.key),
        &format!("ff_{}_{secret}", other.id),
        // A form that no authenticator of this process takes.
        "eyJhbGciOiJub25lIn0.e30.x",
        "secret",
    ] {
        let refused = admit(&auth, Action::Read, Some(bad)).await.unwrap_err();
        assert!(matches!(refused, Refusal::Bad(_)), "{bad}: {refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_decides_before_any_other_credential() {
    let new = NewKey::make().unwrap();
    let name = "spiffe://corp/desk/rates";
    let (_folder, auth) = auth(vec![
        line(&new.id, Proof::Key(new.sha256), "ann", "default:admin"),
        line("desk", Proof::Certificate, name, "default:submit"),
    ]);
    let headers = headers(&[(AUTHORIZATION, &format!("Bearer {}", new.key))]);
    let of = |names: &[&str]| {
        let mut extensions = Extensions::new();
        extensions.insert(PeerNames(names.iter().map(|&name| name.into()).collect()));
        extensions
    };
    let with = of(&[name, "spiffe://corp/other", "x.example"]);
    let admitted = auth.admit(Action::Submit, &headers, &with).await.unwrap();
    assert_eq!(admitted.subject().as_str(), name);
    // The key of an admin beside it does not count.
    let refused = auth.admit(Action::Operate, &headers, &with).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    // A name that the file does not have is a subject without roles.
    let unknown = of(&["worker.example"]);
    let refused = auth.admit(Action::Check, &headers, &unknown).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let refused = auth.admit(Action::Check, &headers, &of(&[])).await;
    assert!(matches!(refused, Err(Refusal::Bad(_))));
}

#[test]
fn a_keys_file_is_read_as_it_is_written_and_a_wrong_line_is_named_without_its_secret() {
    let hash = "a".repeat(64);
    let text = format!(
        "# desks\nk1  {hash}  desk-rates  default:submit,default:read  2027-01-31T00:00:00Z\n\n\
         c1  certificate  spiffe://corp/x  system:admin\n"
    );
    let mut file: KeyFile = text.parse().unwrap();
    assert_eq!(file.to_string(), text);
    assert!(file.remove("k1") && !file.remove("k1"));
    assert_eq!(file.lines().count(), 1);
    for (wrong, why) in [
        (format!("k1 {hash} a"), "expected: id"),
        (format!("K1 {hash} a default:read"), "an id has"),
        ("k1 zz a default:read".into(), "SHA-256"),
        (format!("k1 {hash} anonymous default:read"), "reserved"),
        (format!("k1 {hash} a default:root"), "default:root"),
        (format!("k1 {hash} a default:read soon"), "expected a time"),
        (
            format!("k1 {hash} a default:read\nk1 {hash} b default:read"),
            "earlier line",
        ),
    ] {
        let error = wrong.parse::<KeyFile>().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains(&hash), "{error}");
    }
}

#[tokio::test]
async fn a_changed_keys_file_is_read_again_and_a_broken_one_changes_nothing() {
    let (first, second) = (NewKey::make().unwrap(), NewKey::make().unwrap());
    let of = |new: &NewKey| line(&new.id, Proof::Key(new.sha256), "ann", "default:read");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, format!("{}\n", of(&first))).unwrap();
    let mut config = config(&[("AUTH_KEYS_FILE", path.to_str().unwrap())]);
    config.auth_keys_check = std::time::Duration::from_millis(5);
    let auth = Auth::new(&config, Vec::new()).unwrap();
    let shutdown = Shutdown::new();
    let changing = async {
        std::fs::write(&path, "nonsense\n").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(admit(&auth, Action::Read, Some(&first.key)).await.is_ok());
        std::fs::write(&path, format!("{}\n", of(&second))).unwrap();
        while admit(&auth, Action::Read, Some(&second.key)).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert!(admit(&auth, Action::Read, Some(&first.key)).await.is_err());
    };
    tokio::select! {
        () = changing => {}
        () = auth.watch(&shutdown) => panic!("it stopped watching"),
    }
}

#[tokio::test]
async fn without_proof_every_caller_is_anonymous_and_may_do_everything() {
    let auth = Auth::new(&config(&[]), Vec::new()).unwrap();
    for action in Action::ALL {
        let subject = admit(&auth, action, Some("ff_whatever")).await.unwrap();
        assert_eq!(subject, "anonymous");
    }
}

#[test]
fn without_proof_only_names_of_this_server_are_called() {
    let check = |set: &[(&str, &str)], host: &str| {
        let sites = Sites::new(&config(set));
        sites
            .check_host(&Uri::from_static("/"), &headers(&[(HOST, host)]))
            .is_ok()
    };
    for host in [
        "localhost",
        "LocalHost:8080",
        "127.0.0.1:1",
        "127.1.2.3",
        "[::1]:8080",
        "",
        "localhost.",
    ] {
        assert!(check(&[], host), "{host}");
    }
    for host in [
        "attacker.example:8080",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0:8080",
    ] {
        assert!(!check(&[], host), "{host}");
        // Nobody proves anything, so a name could be that of a hostile page. An address cannot.
        let is_address = !host.contains("attacker");
        let waived = check(&[("AUTH", "none")], host);
        assert_eq!(waived, is_address, "{host}");
        assert!(check(&[("AUTH_KEYS_FILE", "keys")], host), "{host}");
    }
    let named = [("ALLOWED_HOSTS", "fanfold.example, other.example")];
    assert!(check(&named, "Fanfold.example:443") && !check(&named, "x.example"));
    let both = [("ALLOWED_HOSTS", "fanfold.example"), ("AUTH", "none")];
    assert!(check(&both, "localhost") && !check(&both, "x.example"));
    assert!(check(&both, "10.0.0.1:8080") && check(&both, "fanfold.example"));
    // The target of a call may name a host too.
    let sites = Sites::new(&config(&[]));
    let absolute = Uri::from_static("http://attacker.example/valuations");
    assert!(
        sites
            .check_host(&absolute, &headers(&[(HOST, "localhost")]))
            .is_err()
    );
}

#[test]
fn the_page_of_another_site_may_not_call() {
    let site = HeaderName::from_static("sec-fetch-site");
    let may = |set: &[(&str, &str)], of: &[(HeaderName, &str)]| {
        let mut all = headers(of);
        all.insert(HOST, "127.0.0.1:8080".parse().unwrap());
        Sites::new(&config(set)).check_origin(&all).is_ok()
    };
    // A program, an address line, and a page of this server.
    assert!(may(&[], &[]));
    assert!(may(&[], &[(site.clone(), "none")]));
    assert!(may(
        &[],
        &[
            (site.clone(), "same-origin"),
            (ORIGIN, "http://127.0.0.1:8080")
        ]
    ));
    for other in ["cross-site", "same-site", "Same-Origin", ""] {
        assert!(!may(&[], &[(site.clone(), other)]), "{other}");
    }
    for origin in [
        "https://evil.example",
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "null",
        "",
        "127.0.0.1:8080",
    ] {
        assert!(!may(&[], &[(ORIGIN, origin)]), "{origin}");
        assert!(!may(&[("AUTH", "none")], &[(ORIGIN, origin)]), "{origin}");
        assert!(
            !may(&[("AUTH_KEYS_FILE", "k")], &[(ORIGIN, origin)]),
            "{origin}"
        );
    }
    // Of two values one is not the browser's.
    for name in [site.clone(), ORIGIN] {
        let value = if name == ORIGIN {
            "http://127.0.0.1:8080"
        } else {
            "same-origin"
        };
        let mut twice = headers(&[(HOST, "127.0.0.1:8080"), (name.clone(), value)]);
        assert!(Sites::new(&config(&[])).check_origin(&twice).is_ok());
        twice.append(name, value.parse().unwrap());
        assert!(Sites::new(&config(&[])).check_origin(&twice).is_err());
    }
    let proxied = [("ALLOWED_HOSTS", "fanfold.example")];
    assert!(may(&proxied, &[(ORIGIN, "https://fanfold.example")]));
    assert!(!may(&proxied, &[(ORIGIN, "https://evil.fanfold.example")]));
}
