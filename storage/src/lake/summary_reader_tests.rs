use super::*;
use crate::lake::summary_file::{BLOCK_BYTES, write};

fn contents() -> Contents {
    let urls: Vec<String> = (0..20_000).map(|number| format!("/a/{number:06}")).collect();
    let mut contents = Contents::default();
    contents.dictionaries[Dimension::Url as usize] =
        Arc::new(Dictionary::from_sorted(urls.iter().map(String::as_str)).unwrap());
    let part = |name: &str, length: usize| Part {
        summary: name.parse().unwrap(),
        row_count: 3,
        encoded: (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect(),
    };
    contents.segments = vec![
        vec![part("service", 5), part("url", BLOCK_BYTES / 2)],
        vec![],
        vec![part("url", BLOCK_BYTES), part("url/stack", 3)],
    ];
    contents
}

fn written(contents: &Contents) -> (tempfile::TempDir, DataFolder, &'static str) {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path()).unwrap();
    let staged = folder.staged_path();
    let size = write(&staged, contents).unwrap();
    assert_eq!(size, std::fs::metadata(&staged).unwrap().len());
    folder.publish(&staged, "events/some.summaries").unwrap();
    (root, folder, "events/some.summaries")
}

#[test]
fn each_part_is_read_back_by_its_segment_and_summary() {
    let contents = contents();
    let (_root, folder, name) = written(&contents);
    assert_eq!(read(&folder, name, &[0, 1, 2]).unwrap(), contents);
    let cache = SummaryCache::new(&folder, 1 << 24);
    let mut reader = cache.open(name).unwrap();
    let wide: Summary = "url/stack".parse().unwrap();
    assert_eq!(reader.part(2, wide).unwrap().encoded(), [0, 1, 2]);
    assert!(reader.part(0, wide).is_err() && reader.part(3, wide).is_err());
    std::fs::remove_file(folder.path_of(name)).unwrap();
    let mut again = cache.open(name).unwrap();
    assert_eq!(again.part(2, wide).unwrap().row_count, 3, "it is kept in memory");
    assert!(again.dictionary(Dimension::Url).is_err());
}

#[test]
fn what_is_merged_of_many_files_with_few_values_stays_within_the_bound() {
    const BOUND: usize = 1 << 20;
    let root = tempfile::tempdir().unwrap();
    let cache = SummaryCache::new(&DataFolder::open(root.path()).unwrap(), BOUND as u64);
    let services = [Arc::new(Dictionary::from_sorted(["cdn"]).unwrap()), Arc::new(Dictionary::default())];
    for report in 0..1_000 {
        let names: Vec<Arc<str>> = (0..90).map(|day| format!("events/{report:0>40}/{day:0>40}").into()).collect();
        cache.merged(&names, Dimension::Service, &services).unwrap();
    }
    cache.decoded.run_pending_tasks();
    let kept: usize = cache.decoded.iter().map(|(key, _)| key.0.len()).sum();
    assert!((BOUND / 2..=BOUND).contains(&kept), "{kept} bytes of names");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what it damages is thrown away")]
fn a_changed_byte_is_found_or_changes_nothing() {
    let contents = contents();
    let (_root, folder, name) = written(&contents);
    let path = folder.path_of(name);
    let bytes = std::fs::read(&path).unwrap();
    for place in (0..bytes.len()).step_by(997).chain(bytes.len() - 24..bytes.len()) {
        let mut changed = bytes.clone();
        changed[place] ^= 4;
        std::fs::write(&path, &changed).unwrap();
        let unchanged = read(&folder, name, &[0, 1, 2]).map_or(true, |read| read == contents);
        assert!(unchanged, "the byte at {place} of {}", bytes.len());
    }
}
