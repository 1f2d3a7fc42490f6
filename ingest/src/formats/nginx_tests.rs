use proptest::prelude::*;

use super::*;
use crate::formats::{FORMATS, snapshot};

const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

fn compiled(format: &str) -> LogFormat {
    format.parse().unwrap()
}

#[test]
fn a_format_with_cache_time_and_api_key_gives_a_whole_event() {
    let format = compiled(
        r#"$msec $request_id $scheme $http_host $request_method "$request_uri" $status $bytes_sent $request_time $upstream_cache_status $upstream_response_time "$http_user_agent" "$http_x_user_agent" $http_api_key"#,
    );
    insta::assert_snapshot!(snapshot(
        &format,
        &[
            r#"1431857103.250 9f8e https example.com GET "/a?b=\x22" 200 512 0.125 HIT - "curl/8" "delivery/1.0" blt0123456789abcdef"#,
            r#"1431857103.250 - https example.com GET "/a" 200 512 0.125 - 0.001, 0.002 : 0.003 "-" "-" -"#,
            r#"1431857103.250 - https example.com GET "/a" 200 512 0.125"#,
            r#"yesterday - https example.com GET "/a" 200 512 0.125 - - "-" "-" -"#,
        ]
    ));
}

#[test]
fn of_a_cache_header_the_word_of_the_nearest_cache_counts_and_of_a_host_its_name() {
    let format = compiled(r#"[$time_local] "$request" $status $http_host "$sent_http_x_cache""#);
    let read = |header: &str| {
        let line = format!(r#"[17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 example.com:8080 "{header}""#);
        let event = format.parse(line.as_bytes()).unwrap();
        [Field::Cache, Field::Domain].map(|field| match event.get(field) {
            Some(Value::Text(text)) => text.to_string(),
            other => panic!("{other:?}"),
        })
    };
    for (header, word) in [("Hit from cloudfront", "Hit"), ("MISS, HIT", "HIT"), ("HIT from proxy:3128", "HIT")] {
        assert_eq!(read(header), [word, "example.com"]);
    }
}

#[test]
fn path_and_arguments_make_the_url_and_a_whole_one_stays() {
    let format = compiled("$time_iso8601|$uri|$args|${status}|");
    insta::assert_snapshot!(snapshot(
        &format,
        &[
            "2015-05-17T10:05:03+02:00|/a|b=1|200|",
            "2015-05-17T10:05:03+02:00|/a|-|200|",
            "2015-05-17T10:05:03+02:00|/a|-|200|x"
        ]
    ));
}

#[test]
fn a_json_shaped_format_is_cut_at_quotes_that_are_not_escaped() {
    let format = compiled(r#"{"t":"$time_iso8601","u":"$request_uri","a":"$http_user_agent","s":$status}"#);
    let line = r#"{"t":"2015-05-17T10:05:03Z","u":"/a","a":"say \"hi\", \\","s":404}"#;
    insta::assert_snapshot!(snapshot(&format, &[line]));
}

#[test]
fn formats_without_what_an_event_needs_are_refused() {
    let formats = [
        "$request $status",
        "[$time_local] $status",
        r#"[$time_local] "$request""#,
        r#"$host$request_uri [$time_local] "$request" $status"#,
        "[$time_local] $ $request $status",
        "[$time_local] ${} $request $status",
    ];
    let errors = formats.map(|format| format!("{format}\n  {}", format.parse::<LogFormat>().unwrap_err()));
    insta::assert_snapshot!(errors.join("\n"));
}

proptest! {
    #[test]
    fn the_combined_string_reads_what_the_combined_format_reads(
        user in "[a-z]{1,5}", url in r"/[a-z?&=%.]{0,20}(\\x22|\\xE3\\x81\\x82)?", status in 100_u16..600,
        bytes in "-|[0-9]{1,9}", agent in r"([A-Za-z/(); ]|\\x22|\\x5C){1,40}", cut in 0_usize..200,
    ) {
        let line = format!(
            r#"10.0.0.1 - {user} [17/May/2015:10:05:03 +0000] "GET {url} HTTP/1.1" {status} {bytes} "-" "{agent}""#
        );
        let format = compiled(COMBINED);
        let combined = FORMATS.into_iter().find(|format| format.name() == "combined").unwrap();
        let expected = combined.parse(line.as_bytes()).unwrap();
        prop_assert_eq!(format.parse(line.as_bytes()).unwrap(), expected);
        let part = &line.as_bytes()[..cut.min(line.len() - 1)];
        prop_assert!(format.parse(part).is_err() && combined.parse(part).is_err());
    }
}
