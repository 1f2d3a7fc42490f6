//! Combined with a cache's word behind it: `… "referrer" "user agent" HIT`.
//!
//! As people set it up who want to see their cache at work: nginx with `$upstream_cache_status` (the words are listed in
//! nginx's documentation of `ngx_http_upstream_module`), Apache with `"%{X-Cache}o"` (its `mod_log_config`, and
//! `mod_cache`'s `CacheHeader`). What is not quoted must be a word that is known, so that a line that is cut off does not
//! pass. What is quoted may be any words, but no address: nginx's own example of a `log_format` goes on with
//! `"$http_x_forwarded_for"`, and a `"-"` there says nothing of a cache, so it does not tell the format.

use std::borrow::Cow;

use super::Format;
use super::access_line::{AccessLine, cut_off, quoted};
use super::x_cache::cache_word;
use crate::cache_words::{CACHE_WORDS, NO_CACHE_WORD};
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct CombinedCache;

impl Format for CombinedCache {
    fn name(&self) -> &'static str {
        "combined-cache"
    }

    fn describe(&self) -> &'static str {
        "Combined with a cache's word behind it"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let mut access = AccessLine::read(line)?;
        let (agent, rest) = access.referrer_and_user_agent()?;
        let rest = rest.trim_end().strip_prefix(' ').ok_or_else(|| cut_off("the cache's word"))?;
        let word = if rest.starts_with('"') { quoted_word(rest)? } else { known_word(rest)? };
        access.raw.set_text(Field::UserAgent, agent);
        access.raw.set_text(Field::Cache, word);
        Ok(access.raw)
    }

    fn claims(&self, line: &[u8]) -> bool {
        let bare_end = line.trim_ascii_end().last() != Some(&b'"');
        self.parse(line).is_ok_and(|raw| match raw.get(Field::Cache) {
            Some(Value::Text(word)) => bare_end || is_known(word),
            _ => false,
        })
    }
}

fn is_known(word: &str) -> bool {
    CACHE_WORDS.iter().any(|(known, _)| known.eq_ignore_ascii_case(word))
}

fn known_word(word: &str) -> Result<Cow<'_, str>, Fault> {
    if word == NO_CACHE_WORD || is_known(word) {
        return Ok(Cow::Borrowed(word));
    }
    let expected = "expected one such as `HIT` or `MISS`, or any in quotes";
    Err(Fault::new(Field::Cache.name(), format!("{} is no cache's word: {expected}", shown(word))))
}

fn quoted_word(text: &str) -> Result<Cow<'_, str>, Fault> {
    let (words, rest) = quoted(text, "the cache's word")?;
    if !rest.is_empty() {
        return Err(Fault::line(format!("goes on with {} after the cache's word", shown(rest.trim()))));
    }
    let word = cache_word(words);
    if word.bytes().any(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':')) {
        return Err(Fault::new(
            Field::Cache.name(),
            format!("{} is no cache's word: it may be an address", shown(&word)),
        ));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{detect, fixture};

    const LINE: &str = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" "#;

    #[test]
    fn lines_as_nginx_and_apache_write_them() {
        insta::assert_snapshot!(fixture::snapshot(&CombinedCache));
    }

    #[test]
    fn a_word_that_is_cut_off_does_not_pass() {
        let whole = format!("{LINE}HIT-CLUSTER");
        let passes = (0..whole.len()).filter(|end| CombinedCache.parse(&whole.as_bytes()[..*end]).is_ok());
        assert_eq!(passes.map(|end| &whole[end..]).collect::<Vec<_>>(), ["-CLUSTER"]);
    }

    #[test]
    fn an_address_behind_the_user_agent_is_no_cache() {
        for address in ["\"-\"", "\"192.0.2.1\"", "\"192.0.2.1, 192.0.2.2\"", "\"2001:db8::1\""] {
            assert!(detect(format!("{LINE}{address}\n").as_bytes()).is_err(), "{address}");
        }
    }
}
