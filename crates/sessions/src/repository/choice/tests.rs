//! Prompts as people write them.

use forge::{ForgeAddress, Repository};

use super::{Choice, choose};

fn known() -> Vec<Repository> {
    let names = [
        "acme/acme-api",
        "acme/acme-web",
        "acme/docs",
        "other/docs",
        "acme/old",
        "acme/test",
        "acme/front-end",
        "acme/billing",
        "acme/AcmeTools",
        "acme/load-balancer",
        "acme/shopping-cart",
        "acme/feature-flags",
        "acme/zeppelin-hangar",
        "acme/PostgreSQL",
    ];
    let repository = |name: &&str| Repository {
        full_name: name.parse().unwrap(),
        description: String::new(),
        default_branch: "main".to_owned(),
        archived: *name == "acme/old",
        size: 0,
    };
    names.iter().map(repository).collect()
}

fn chosen(prompt: &str) -> Choice {
    let forge = ForgeAddress::new("https://github.com".parse().unwrap(), "https://api.github.com".parse().unwrap());
    choose(prompt, &known(), &forge)
}

/// The only repository, or the candidates.
fn of(prompt: &str) -> Vec<String> {
    match chosen(prompt) {
        Choice::One(name) => vec![name.to_string()],
        Choice::Tie(candidates) => candidates.iter().map(|candidate| format!("= {}", candidate.name)).collect(),
        Choice::Open(candidates) => candidates.iter().map(|candidate| format!("? {}", candidate.name)).collect(),
    }
}

#[test]
fn a_repository_that_is_named_clearly_is_chosen() {
    for (prompt, name) in [
        ("In the acme-api repo, fix the token refresh bug", "acme/acme-api"),
        ("Fix the bug in `ACME-API`.", "acme/acme-api"),
        ("acme-api: fix the failing test", "acme/acme-api"),
        ("acme-api's front-end and docs need a test", "acme/acme-api"),
        ("Fix AcmeTools, it crashes", "acme/AcmeTools"),
        ("other/docs: mend the links", "other/docs"),
        ("Mend the links (acme/docs).", "acme/docs"),
        ("In acme/acme-api, change src/main.rs", "acme/acme-api"),
        ("In acme/acme-api, call what acme-web calls", "acme/acme-api"),
        ("Run the tests of acme/acme-api@main and/or fix client/server code", "acme/acme-api"),
        ("Fix acme/docs#3", "acme/docs"),
        ("Close acme-api#12, please", "acme/acme-api"),
        ("Fix somebody/else#7", "somebody/else"),
        ("the billing repository has a bug", "acme/billing"),
        ("repo: billing\nFix the failing test", "acme/billing"),
        ("In repository `test`: add one", "acme/test"),
        ("there is a repo called test, fix it", "acme/test"),
        ("在acme-api仓库中修复错误", "acme/acme-api"),
        ("Im Repository „acme-web“ fehlt ein Test", "acme/acme-web"),
        ("See https://github.com/acme/docs/issues/3 and fix it", "acme/docs"),
        ("Fix [this](https://github.com/acme/docs/issues/3), see https://example.com/acme/acme-api", "acme/docs"),
        ("<https://github.com/acme/docs/pull/4|the pull request> fails", "acme/docs"),
        ("Review www.github.com/acme/docs/blob/main/README.md.", "acme/docs"),
        ("Clone git@github.com:acme/docs.git!", "acme/docs"),
        ("url=https://github.com/acme/docs", "acme/docs"),
        ("Clone https://github.com/somebody/else.git", "somebody/else"),
        ("Clone https://github.com/somebody/else.git and fix the failing test", "somebody/else"),
        ("Wake acme/old up", "acme/old"),
        ("zeppelin-hangar: add a door", "acme/zeppelin-hangar"),
        ("Add a door to the `zeppelin-hangar`", "acme/zeppelin-hangar"),
        ("The acme-api answers 500", "acme/acme-api"),
        ("In the load-balancer repo, add a test", "acme/load-balancer"),
    ] {
        assert_eq!(of(prompt), [name], "{prompt}");
    }
}

#[test]
fn equally_clear_repositories_are_a_tie() {
    for (prompt, candidates) in [
        ("Mend the links in the docs repo", &["acme/docs", "other/docs"][..]),
        ("Compare acme/acme-api with acme/acme-web", &["acme/acme-api", "acme/acme-web"]),
        ("acme-api and acme-web need a README", &["acme/acme-api", "acme/acme-web"]),
        ("Fix the login in acme-api or acme-web", &["acme/acme-api", "acme/acme-web"]),
        ("Fix the login in the acme-api repo and the billing repository", &["acme/acme-api", "acme/billing"]),
        ("Fix the login in acme/acme-api. Add a test in acme/acme-web.", &["acme/acme-api", "acme/acme-web"]),
        ("Mend acme/docs/a.md and acme/acme-api/b.md", &["acme/docs", "acme/acme-api"]),
        (
            "https://github.com/acme/docs/issues/3 and https://github.com/acme/billing/pull/1",
            &["acme/docs", "acme/billing"],
        ),
        ("Behebe den Fehler im acme-api oder acme-web", &["acme/acme-api", "acme/acme-web"]),
    ] {
        let candidates: Vec<String> = candidates.iter().map(|name| format!("= {name}")).collect();
        assert_eq!(of(prompt), candidates, "{prompt}");
    }
}

#[test]
fn several_repositories_in_different_roles_are_all_candidates() {
    for (prompt, candidates) in [
        ("Fix the login in acme/acme-api, like acme/acme-web does", &["acme/acme-api", "acme/acme-web"][..]),
        ("Fix acme-api like acme-web", &["acme/acme-api", "acme/acme-web"]),
        ("Fix acme/acme-api and somebody/else#7", &["acme/acme-api", "somebody/else"]),
        ("Copy the header of acme-web to acme-api", &["acme/acme-web", "acme/acme-api"]),
        ("Move it from acme/docs to other/docs", &["acme/docs", "other/docs"]),
        ("Do https://github.com/acme/docs/issues/3 in the acme-api repo", &["acme/docs", "acme/acme-api"]),
        ("Like https://github.com/up/stream/issues/3, in acme-api", &["up/stream", "acme/acme-api"]),
        ("Do in acme-api what acme/old did", &["acme/old", "acme/acme-api"]),
    ] {
        let candidates: Vec<String> = candidates.iter().map(|name| format!("? {name}")).collect();
        assert_eq!(of(prompt), candidates, "{prompt}");
    }
}

#[test]
fn ordinary_words_and_foreign_links_name_nothing() {
    let active = known().len() - 1;
    for (prompt, first) in [
        ("Fix the token refresh bug", "acme/acme-api"),
        ("Fix the failing test", "acme/test"),
        ("test: add one", "acme/test"),
        ("Run `test` again", "acme/test"),
        ("Mend the links in docs", "acme/docs"),
        ("The front-end is slow", "acme/front-end"),
        ("Make a test repo in the fixtures", "acme/test"),
        ("Does billing and/or client/server work? See src/main.rs, 12/24, text/html", "acme/billing"),
        ("See https://gitlab.com/acme/acme-api/issues/3", "acme/acme-api"),
        ("https://example.com/acme/docs says how", "acme/acme-api"),
        ("https://evil.test/?to=https://github.com/acme/docs", "acme/acme-api"),
        ("https://en.wikipedia.org/wiki/X_(y)/acme/docs", "acme/acme-api"),
        ("https://github.com/orgs/acme/projects/3 has a card", "acme/acme-api"),
        ("git@gitlab.com:acme/docs.git is a copy", "acme/acme-api"),
        ("open ~/acme-web and ./acme/docs and ../acme-web", "acme/acme-api"),
        ("npm install @acme/test", "acme/test"),
        ("write to kim@acme-api", "acme/acme-api"),
        ("http://acme-api:3000/ is down", "acme/acme-api"),
        ("acme-api:3000 is down", "acme/acme-api"),
        ("The load-balancer times out", "acme/load-balancer"),
        ("shopping-cart total is wrong", "acme/shopping-cart"),
        ("the feature-flags page is slow", "acme/feature-flags"),
        ("Our zeppelin-hangar is cold", "acme/zeppelin-hangar"),
        ("Upgrade PostgreSQL", "acme/PostgreSQL"),
        ("", "acme/acme-api"),
    ] {
        let open = of(prompt);
        assert_eq!((open.len(), open[0].as_str()), (active, format!("? {first}").as_str()), "{prompt}: {open:?}");
        assert!(!open.contains(&"? acme/old".to_owned()), "{prompt}");
    }
}

#[test]
fn the_forges_own_address_decides_about_links() {
    let forge =
        ForgeAddress::new("http://127.0.0.1:4000".parse().unwrap(), "http://127.0.0.1:4000/api/v3".parse().unwrap());
    let one = |prompt: &str| match choose(prompt, &[], &forge) {
        Choice::One(name) => Some(name.to_string()),
        Choice::Tie(_) | Choice::Open(_) => None,
    };
    assert_eq!(one("http://127.0.0.1:4000/acme/docs/pull/7").as_deref(), Some("acme/docs"));
    assert_eq!(one("https://github.com/acme/docs/pull/7"), None);
}
