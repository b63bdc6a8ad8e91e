//! Secrets do not appear in the files, and a sealed value can only be opened in its place.

use domain::session::{SandboxRecord, SessionRecord};
use secrecy::{ExposeSecret, SecretString};

use super::fixture::{open, session};
use crate::seal::{Place, Sealer};
use crate::{Change, StoreError};

#[tokio::test]
async fn secrets_are_not_in_the_files() {
    const SECRETS: [&str; 2] = ["swordfish-in-env", "swordfish-of-the-link"];
    let (directory, store) = open();
    let mut record = session("visible-session-id");
    record.env.insert("VISIBLE_NAME".into(), SECRETS[0].into());
    let sandbox = SandboxRecord { link_secret: SECRETS[1].into(), ..super::fixture::sandbox("one", 1) };
    let record = SessionRecord { sandbox: Some(sandbox), ..record };
    store.commit(vec![Change::InsertSession(record.clone()), Change::UpdateSession(record.clone())]).await.unwrap();
    let while_open = contents(directory.path());
    store.close().await;
    for bytes in [while_open, contents(directory.path())] {
        // The name proves that these files contain the record.
        for visible in ["VISIBLE_NAME", "visible-session-id"] {
            assert!(has(&bytes, visible), "{visible}");
        }
        for secret in SECRETS {
            assert!(!has(&bytes, secret), "{secret}");
        }
    }
}

#[test]
fn a_sealed_value_opens_only_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let sealer = Sealer::open(&directory.path().join("key"), true).unwrap();
    let id = "a".parse().unwrap();
    let (session, other) = (session("a").key, session("b").key);
    let place = Place::Env { session, name: "TOKEN" };
    let value = sealer.seal(place, &SecretString::from("swordfish")).unwrap();
    assert_eq!(sealer.unseal(place, &value, &id).unwrap().expose_secret(), "swordfish");
    assert_ne!(sealer.seal(place, &SecretString::from("swordfish")).unwrap(), value, "a nonce was used twice");
    let elsewhere = [
        Place::Env { session: other, name: "TOKEN" },
        Place::Env { session, name: "OTHER" },
        Place::LinkSecret { session, sandbox: "TOKEN" },
    ];
    for place in elsewhere {
        assert!(matches!(sealer.unseal(place, &value, &id), Err(StoreError::DoesNotOpen { .. })));
    }
    let mut changed = value.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(sealer.unseal(place, &changed, &id).is_err());
    assert!(sealer.unseal(place, &value[..10], &id).is_err());
}

fn contents(directory: &std::path::Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
