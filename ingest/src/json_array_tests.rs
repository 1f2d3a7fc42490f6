use std::io::Cursor;

use super::*;
use crate::test_input::{Failing, Trickle};
use proptest::prelude::*;

fn cut(input: impl Read, block_bytes: usize) -> Result<Vec<String>, ArrayError> {
    let mut elements = Vec::new();
    for block in ArrayBlocks::new(input, block_bytes, 64) {
        elements.extend(block?.pieces().into_iter().map(|element| String::from_utf8(element.to_vec()).unwrap()));
    }
    Ok(elements)
}

proptest! {
    #[test]
    fn elements_are_the_same_however_the_array_arrives(
        elements in prop::collection::vec(r#"\{"[a\[\]\{\},:]{0,9}":(1|"(\\"|\\\\|[,\]\}x]){0,6}"|\[1, \{\}\])\}"#, 0..8),
        blank in "[ \r\n\t]{0,3}", block_bytes in 1_usize..64, step in 1_usize..16,
    ) {
        let text = format!("{blank}[{blank}{}{blank}]{blank}", elements.join(&format!("{blank},{blank}")));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        prop_assert_eq!(cut(Trickle::new(text.as_bytes(), step), block_bytes).unwrap(), elements);
    }

    #[test]
    fn no_start_of_an_array_passes_for_the_whole(end in 0_usize..20) {
        let whole = r#"[{"a":"]"},[1,{}],2]"#;
        prop_assert!(cut(&whole.as_bytes()[..end.min(whole.len() - 1)], 8).is_err());
    }
}

#[test]
fn what_is_no_array_says_why() {
    let bodies =
        ["", " ", "{}", "x", "[", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1}]", "[1]]", "[1] x", r#"["]"#, "[[1]"];
    let reasons = bodies.map(|body| format!("{body:?}\n  {}", cut(body.as_bytes(), 64).unwrap_err()));
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn an_empty_array_has_no_elements() {
    assert_eq!(cut("[]".as_bytes(), 64).unwrap(), Vec::<String>::new());
    assert_eq!(cut("\u{feff} [ \n ] ".as_bytes(), 64).unwrap(), Vec::<String>::new());
}

#[test]
fn an_element_may_be_as_long_as_a_line_and_not_longer() {
    let fits = format!("[ {} , 2]", "1".repeat(64));
    assert_eq!(cut(fits.as_bytes(), 8).unwrap().len(), 2);
    let over = format!("[2,{}]", "1".repeat(65));
    assert!(matches!(cut(over.as_bytes(), 8), Err(ArrayError::TooLong(2))));
}

#[test]
fn blanks_and_short_elements_take_no_more_memory_than_others() {
    let blanks = " ".repeat(10 * CHUNK_BYTES);
    let mut blocks = ArrayBlocks::new(Cursor::new(format!("[{blanks}1{blanks},{blanks}2{blanks}]")), 1 << 20, 64);
    assert_eq!(blocks.next().unwrap().unwrap().bytes.len(), "1 2 ".len());
    let mut inside = ArrayBlocks::new(Cursor::new(format!("[{{{blanks}}}]")), 1 << 20, 64);
    assert!(matches!(inside.next(), Some(Err(ArrayError::TooLong(1)))));
    let many = format!("[1{}]", ",1".repeat(MAX_BLOCK_ELEMENTS + 4));
    let counts = ArrayBlocks::new(many.as_bytes(), 1 << 20, 64).map(|block| block.unwrap().pieces().len());
    assert_eq!(counts.collect::<Vec<_>>(), [MAX_BLOCK_ELEMENTS, 5]);
}

#[test]
fn an_input_that_fails_is_no_end() {
    assert!(matches!(cut(Failing::after(b"[1]"), 64), Err(ArrayError::Read(_))));
}
