//! The initial repositories of the program: a small service with a bug, and two others to choose from.

use super::repository::Seed;

/// `OWNER/NAME` and the content.
pub fn repositories() -> Vec<(&'static str, Seed)> {
    let api = [
        ("README.md", include_str!("../../repositories/acme-api/README.md")),
        ("CLAUDE.md", include_str!("../../repositories/acme-api/CLAUDE.md")),
        ("package.json", include_str!("../../repositories/acme-api/package.json")),
        ("src/token.js", include_str!("../../repositories/acme-api/src/token.js")),
        ("src/server.js", include_str!("../../repositories/acme-api/src/server.js")),
        ("test/token.test.js", include_str!("../../repositories/acme-api/test/token.test.js")),
    ];
    vec![
        ("acme/acme-api", Seed::new("The HTTP API of Acme: accounts, tokens, usage", &api)),
        ("acme/acme-web", Seed::new("The web page of Acme", &[("index.html", "<!doctype html><title>Acme</title>\n")])),
        ("acme/handbook", Seed::new("How we work at Acme", &[("README.md", "# Handbook\n")])),
    ]
}
