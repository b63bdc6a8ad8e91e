use super::*;

fn access(http: &str, https: &str, no: &str) -> Result<NetworkAccess, NetworkError> {
    NetworkAccess::new(&NetworkSettings {
        http_proxy: Some(http.to_owned()),
        https_proxy: Some(https.to_owned()),
        no_proxy: no.to_owned(),
        ..NetworkSettings::default()
    })
}

fn host_of(access: &NetworkAccess, scheme: Scheme, host: &str) -> Option<String> {
    let proxy = access.proxy_for(scheme, host, 443)?;
    Some(format!("{}:{}", proxy.host, proxy.port))
}

#[test]
fn each_scheme_has_its_proxy() {
    let access = access("http://plain.example", "secure.example:3128", "").unwrap();
    assert_eq!(host_of(&access, Scheme::Http, "a.example").as_deref(), Some("plain.example:80"));
    assert_eq!(host_of(&access, Scheme::Https, "a.example").as_deref(), Some("secure.example:3128"));
    let only = self::access("", "http://secure.example:3128", "").unwrap();
    assert_eq!(host_of(&only, Scheme::Http, "a.example"), None);
}

#[test]
fn exceptions_are_reached_directly() {
    let access = access("http://p:1", "http://p:1", "corp.example, .inside.example,10.0.0.0/8,192.0.2.7").unwrap();
    for host in ["corp.example", "git.corp.example", "a.inside.example", "10.1.2.3", "192.0.2.7"] {
        assert_eq!(host_of(&access, Scheme::Https, host), None, "{host}");
    }
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
        assert_eq!(host_of(&access, Scheme::Http, host), None, "{host}");
    }
    for host in ["notcorp.example", "example.com", "192.0.2.8", "2001:db8::1"] {
        assert!(host_of(&access, Scheme::Https, host).is_some(), "{host}");
    }
    let forms = "*.corp.example internal.example:8443 192.0.2.7:80,[2001:db8::1]:443,2001:db8::2";
    let forms = self::access("http://p:1", "http://p:1", forms).unwrap();
    for host in ["git.corp.example", "internal.example", "192.0.2.7", "2001:db8::1", "2001:db8::2"] {
        assert_eq!(host_of(&forms, Scheme::Https, host), None, "{host}");
    }
    assert!(host_of(&forms, Scheme::Https, "example.com").is_some());
    let none = self::access("http://p:1", "http://p:1", "corp.example, *").unwrap();
    assert_eq!(host_of(&none, Scheme::Https, "example.com"), None);
    assert_eq!(host_of(&none, Scheme::Https, "192.0.2.8"), None);
    assert!(none.proxy_variables().is_empty());
}

#[test]
fn commas_and_white_space_separate_exceptions() {
    let access =
        access("http://p:1", "http://p:1", "a.example\nb.example\tc.example\r\n d.example,,e.example").unwrap();
    for host in ["a.example", "b.example", "c.example", "d.example", "e.example"] {
        assert_eq!(host_of(&access, Scheme::Https, host), None, "{host}");
    }
    assert_eq!(access.warnings(), [] as [String; 0]);
    assert!(access.to_string().ends_with("not for a.example b.example c.example d.example,,e.example"), "{access}");
}

#[test]
fn settings_without_an_effect_are_named() {
    let useless =
        ["10.*", "192.168.*", "192.168.", "192.168", "*corp.example", "[2001:db8::]/32", "10.0.0.0/33", "<local>"];
    let access = access("", "http://p:1", &useless.join(",")).unwrap();
    let warnings = access.warnings();
    assert_eq!(warnings.len(), useless.len(), "{warnings:?}");
    for (warning, entry) in warnings.iter().zip(useless) {
        assert!(warning.starts_with(&format!("NO_PROXY has {entry}, which matches no host")), "{warning}");
    }
    let usable = "corp.example .a.example *.b.example c:80 10.0.0.0/8 ::1 [::1]:80 2001:db8::/32 127.0.0.1:1 host_1";
    assert_eq!(self::access("", "http://p:1", usable).unwrap().warnings(), [] as [String; 0]);
    assert_eq!(self::access("", "http://p:1", "10.*,*").unwrap().warnings(), [] as [String; 0], "* is all");
    assert_eq!(self::access("", "", "10.*").unwrap().warnings(), [] as [String; 0], "there is no proxy");

    let all = |https: Option<&str>| {
        let settings = NetworkSettings {
            all_proxy: Some("socks5://p:1".to_owned()),
            https_proxy: https.map(str::to_owned),
            ..NetworkSettings::default()
        };
        NetworkAccess::new(&settings).unwrap().warnings()
    };
    assert_eq!(all(None), ["ALL_PROXY is not used: set HTTPS_PROXY, and HTTP_PROXY for http addresses"]);
    assert_eq!(all(Some("http://p:1")), [] as [String; 0]);
}

#[test]
fn a_password_is_used_and_not_displayed() {
    let access = access("", "http://me:s3cret@proxy.example:3128", "corp.example").unwrap();
    let proxy = access.proxy_for(Scheme::Https, "example.com", 443).unwrap();
    assert_eq!(proxy.authorization.unwrap(), "Basic bWU6czNjcmV0");
    assert_eq!(access.to_string(), "proxy http://proxy.example:3128 for https, not for corp.example");
    assert!(!format!("{access:?}").contains("s3cret"));
    assert_eq!(access.passwords(), ["s3cret", "s3cret"]);
    let bare = self::access("me:p%40ss@proxy.example:3128", "", "").unwrap();
    assert_eq!(bare.passwords(), ["p%40ss", "p@ss"], "a proxy without a scheme has a password too");
    assert!(access.proxy_variables().iter().any(|(name, value)| *name == "https_proxy" && value.contains("s3cret")));
}

#[test]
fn what_is_no_proxy_is_refused_without_its_password() {
    for (value, words) in [
        ("https://proxy.example:1", "https:// proxies are not supported"),
        ("socks5://proxy.example:1", "socks5:// proxies are not supported"),
        ("http://", "http://host:port"),
        ("http://me:s3cret@proxy.example:99999", "http://host:port"),
        ("http://proxy.example/path", "http://host:port"),
        ("http://me:s3#cret@proxy.example:1", "# as %23"),
        ("http://me:12#s3cret@proxy.example:1", "percent-encoded"),
        ("http://me:s3\\cret@proxy.example:1", "percent-encoded"),
        ("http://me:s3/cret@proxy.example:1", "percent-encoded"),
        ("me:s3?cret@proxy.example:1", "percent-encoded"),
    ] {
        let error = access("", value, "").unwrap_err().to_string();
        assert!(error.contains(words) && error.starts_with("HTTPS_PROXY: ") && !error.contains("cret"), "{error}");
    }
    assert!(access(" ", "", "").unwrap().is_direct());
}

#[test]
fn a_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let read = || NetworkAccess::new(&NetworkSettings { ca_file: Some(file.clone()), ..NetworkSettings::default() });
    assert!(matches!(read(), Err(NetworkError::Authorities(AuthoritiesError::Read { .. }))));
    for content in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, content).unwrap();
        assert!(
            matches!(read(), Err(NetworkError::Authorities(AuthoritiesError::NoCertificate { .. }))),
            "{content:?}"
        );
    }
}
