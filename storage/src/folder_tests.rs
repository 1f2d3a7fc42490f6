use super::*;

#[test]
fn a_published_file_has_its_name_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path()).unwrap();
    let staged = folder.staged_path();
    File::create(&staged).unwrap();
    folder.publish(&staged, "events/a/b/c.parquet").unwrap();
    assert!(folder.path_of("events/a/b/c.parquet").exists());
    assert!(!staged.exists());
    assert_eq!(folder.published_before(Duration::ZERO).unwrap(), ["events/a/b/c.parquet"]);
    assert!(folder.published_before(Duration::from_hours(1)).unwrap().is_empty());
}

#[test]
fn files_published_together_have_their_names_each_in_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path()).unwrap();
    let staged: Vec<PathBuf> = (0..20).map(|_| folder.staged_path()).collect();
    let names: Vec<String> = (0..20).map(|number| format!("events/{}/{number}.parquet", number / 3)).collect();
    for path in &staged {
        File::create(path).unwrap();
    }
    let files: Vec<(&Path, &str)> = staged.iter().map(AsRef::as_ref).zip(names.iter().map(AsRef::as_ref)).collect();
    folder.publish_all(&files).unwrap();
    assert!(names.iter().all(|name| folder.path_of(name).exists()));
    assert!(!staged.iter().any(|path| path.exists()));
}

#[test]
fn the_sweep_takes_the_staging_of_the_dead_and_leaves_that_of_the_living() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path()).unwrap();
    let living = DataFolder::open(root.path()).unwrap();
    File::create(living.staged_path()).unwrap();
    let dead = root.path().join("staging/dead");
    fs::create_dir(&dead).unwrap();
    File::create(dead.with_extension("lock")).unwrap();
    assert_eq!(folder.sweep_staging().unwrap(), 1);
    assert!(!dead.exists());
    assert!(living.staged_path().parent().unwrap().exists());
}

#[test]
fn staging_that_cannot_be_deleted_is_left_to_the_next_sweep() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(root.path()).unwrap();
    let dead = root.path().join("staging/dead");
    // No folder, so that it cannot be deleted as one.
    File::create(&dead).unwrap();
    File::create(dead.with_extension("lock")).unwrap();
    assert_eq!(folder.sweep_staging().unwrap(), 0);
    fs::remove_file(&dead).unwrap();
    fs::create_dir(&dead).unwrap();
    assert_eq!(folder.sweep_staging().unwrap(), 1);
    assert!(!dead.exists());
}
