use super::*;
use crate::formats::{Format as _, Ndjson};

const NOW: &str = "2015-05-20T12:00:00Z";

fn rules() -> Rules {
    let stacks = HashSet::from(["bltaaaaaaaaaaaaaaaa".to_owned()]);
    Rules::new(stacks, Clock::fixed(NOW.parse().unwrap()))
}

fn check(rules: &Rules, line: &str) -> String {
    let mut raw = Ndjson.parse(line.as_bytes()).unwrap();
    match rules.now().event(&mut raw) {
        Ok(event) => format!("{event:#?}"),
        Err(fault) => fault.to_string(),
    }
}

/// The reason for an event whose one odd field is given.
fn with(field: &str) -> String {
    check(&rules(), &format!(r#"{{"ts":"2015-05-17T10:05:03Z","url":"/","status":200,{field}}}"#))
}

fn accepts(field: &str) -> bool {
    with(field).starts_with("RequestEvent")
}

#[test]
fn three_fields_are_enough_and_the_others_have_defaults() {
    insta::assert_snapshot!(check(&rules(), r#"{"ts":1431857103250,"url":"/","status":304}"#));
}

#[test]
fn empty_text_is_a_missing_field() {
    let bare = check(&rules(), r#"{"ts":1431857103250,"url":"/","status":304}"#);
    let line = r#"{"ts":1431857103250,"url":"/","status":304,"service":"","api_key":"","method":"","cache":"",
        "user_agent":"","sdk":"","x_user_agent":"","project_uid":"","environment_uid":"","domain":"","id":""}"#;
    assert_eq!(check(&rules(), line), bare);
    assert!(check(&rules(), r#"{"ts":1431857103250,"url":"","status":304}"#).starts_with("url: is missing"));
}

#[test]
fn every_fault_names_the_field_the_value_and_what_would_be_right() {
    let lines = [
        r#"{"url":"/","status":200}"#,
        r#"{"ts":1431857103250,"status":200}"#,
        r#"{"ts":1431857103250,"url":"/"}"#,
        r#"{"ts":"yesterday","url":"/","status":200}"#,
        r#"{"ts":1.5,"url":"/","status":200}"#,
        r#"{"ts":true,"url":"/","status":200}"#,
        r#"{"ts":1431857103,"url":"/","status":200}"#,
        r#"{"ts":"1999-12-31T23:59:59.999Z","url":"/","status":200}"#,
        r#"{"ts":"2015-05-21T12:00:00.001Z","url":"/","status":200}"#,
        r#"{"ts":9223372036854775807,"url":"/","status":200}"#,
        r#"{"ts":1431857103250,"url":["/"],"status":200}"#,
        r#"{"ts":1431857103250,"url":"/","status":"200"}"#,
        r#"{"ts":1431857103250,"url":"/","status":99}"#,
        r#"{"ts":1431857103250,"url":"/","status":600}"#,
        r#"{"ts":1431857103250,"url":"/","status":-1}"#,
    ];
    let fields = [
        r#""service":"cnd""#,
        r#""service":1"#,
        r#""api_key":"bltbbbbbbbbbbbbbbbb""#,
        r#""bytes":-1"#,
        r#""bytes":1.5"#,
        r#""bytes":9007199254740992"#,
        r#""sdk":"name""#,
        r#""duration_ms":-0.5"#,
        r#""duration_ms":"1""#,
        r#""id":7"#,
    ];
    let reasons = lines.map(|line| check(&rules(), line)).into_iter().chain(fields.map(with));
    insta::assert_snapshot!(reasons.collect::<Vec<_>>().join("\n"));
}

#[test]
fn limits_hold_at_exactly_the_bound() {
    let text =
        |name: &str, length: usize| format!(r#""{name}":"{}""#, "é".repeat(length / 2) + &"x".repeat(length % 2));
    let url = |length: usize| {
        let line = format!(r#"{{"ts":1431857103250,"status":200,{}}}"#, text("url", length));
        check(&rules(), &line).starts_with("RequestEvent")
    };
    assert!(url(8192) && !url(8193));
    assert!(accepts(&text("user_agent", 4096)) && !accepts(&text("user_agent", 4097)));
    let id = |chars: usize| format!(r#""id":"{}""#, "é".repeat(chars));
    assert!(accepts(&id(128)) && !accepts(&id(129)));
    assert!(accepts(r#""bytes":9007199254740991"#));
    let at =
        |ts: &str| check(&rules(), &format!(r#"{{"ts":"{ts}","url":"/","status":200}}"#)).starts_with("RequestEvent");
    assert!(at("2000-01-01T00:00:00Z") && at("2015-05-21T12:00:00Z"));
}

#[test]
fn the_service_decides_what_a_dash_in_the_cache_means() {
    assert!(with(r#""cache":"-""#).contains("Miss"));
    assert!(with(r#""cache":"-","service":"cma""#).contains("cache: None"));
    assert!(with(r#""cache":"tcp_mem_hit""#).contains("Hit"));
    assert!(with(r#""cache":"whatever""#).contains("cache: None"));
}

#[test]
fn an_sdk_that_is_given_wins_over_one_that_is_derived() {
    assert!(with(r#""user_agent":"sdk a/1;","sdk":"b/2""#).contains(r#""b/2""#));
    assert!(with(r#""user_agent":"sdk a/1; x""#).contains(r#""a/1""#));
    assert!(with(r#""x_user_agent":"c/3 x""#).contains(r#""c/3""#));
}

#[test]
fn rules_give_a_service_a_base_url_and_may_leave_stacks_to_the_server() {
    let base_url = Some("https://example.com".parse().unwrap());
    let rules = Rules { stacks: None, service: Service::Assets, base_url, ..rules() };
    insta::assert_snapshot!(check(&rules, r#"{"ts":1431857103250,"url":"/a","status":200,"api_key":"any"}"#));
}

#[test]
fn a_url_is_measured_with_its_base() {
    let rules = Rules { base_url: Some("https://example.com".parse().unwrap()), ..rules() };
    let line = format!(r#"{{"ts":1431857103250,"status":200,"url":"/{}"}}"#, "x".repeat(8190));
    assert!(check(&rules, &line).starts_with("url: "));
}
