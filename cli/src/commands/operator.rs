//! An operator for the tests of the account commands: types a line, reads the answer.

use std::io::Cursor;

use clap::{CommandFactory as _, Parser};
use serde_json::Value;
use tally_storage::catalog::{Catalog, CatalogAddress, Role};
use tally_storage::clock::Clock;
use tally_storage::ids::{OrganizationUid, UserUid};
use tally_storage::password::Password;
use tally_tests::Scratch;

use super::key::KeyCommand;
use super::member::MemberCommand;
use super::org::OrgCommand;
use super::stack::StackCommand;
use super::token::TokenCommand;
use super::user::UserCommand;
use crate::output::Output;
use crate::output::tests::Written;
use crate::prompt::Prompt;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(clap::Subcommand)]
enum AccountCommand {
    #[command(subcommand)]
    Org(OrgCommand),
    #[command(subcommand)]
    User(UserCommand),
    #[command(subcommand)]
    Member(MemberCommand),
    #[command(subcommand)]
    Token(TokenCommand),
    #[command(subcommand)]
    Key(KeyCommand),
    #[command(subcommand)]
    Stack(StackCommand),
}

/// Somebody with a catalog of their own, at noon of 1 March 2026.
pub(super) struct Operator {
    pub(super) catalog: Catalog,
    _scratch: Scratch,
}

impl Operator {
    pub(super) async fn new() -> Self {
        let scratch = Scratch::new();
        let clock = Clock::fixed("2026-03-01T12:00:00Z".parse().unwrap());
        let address =
            scratch.catalog_url().map_or_else(|| CatalogAddress::in_folder(scratch.path()), CatalogAddress::postgres);
        let catalog = Catalog::open(&address, clock).await.unwrap();
        Self { catalog, _scratch: scratch }
    }

    pub(super) async fn organization(&self) -> OrganizationUid {
        self.catalog.create_organization("Acme").await.unwrap()
    }

    pub(super) async fn user(&self, org: &OrganizationUid, email: &str, role: Role) -> UserUid {
        let password = Password::new("correct horse".to_owned()).unwrap();
        self.catalog.create_user(org, &email.parse().unwrap(), role, &password).await.unwrap()
    }

    /// The answer with `--json`, where nobody can be asked.
    pub(super) async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.piping("", line).await.unwrap()).unwrap()
    }

    /// The answer without `--json`.
    pub(super) async fn text(&self, line: &str) -> String {
        self.run(line, Prompt::piped(Cursor::new("")), false).await.unwrap()
    }

    /// The error, where nobody can be asked.
    pub(super) async fn error(&self, line: &str) -> String {
        self.piping("", line).await.unwrap_err().to_string()
    }

    /// The answer with `--json` to a line with this on standard input.
    pub(super) async fn piping(&self, input: &str, line: &str) -> anyhow::Result<String> {
        self.run(line, Prompt::piped(Cursor::new(input.to_owned())), true).await
    }

    /// The answer without `--json` to a line after which this is typed on the terminal.
    pub(super) async fn typing(&self, typed: &str, line: &str) -> anyhow::Result<String> {
        self.run(line, Prompt::asking(Cursor::new(typed.to_owned()), std::io::sink()), false).await
    }

    async fn run(&self, line: &str, mut prompt: Prompt, json: bool) -> anyhow::Result<String> {
        let written = Written::default();
        let out = &mut Output::to(json, written.clone());
        match Cli::parse_from(["tally"].into_iter().chain(line.split(' '))).command {
            AccountCommand::Org(command) => command.run(&self.catalog, &mut prompt, out).await?,
            AccountCommand::User(command) => command.run(&self.catalog, &mut prompt, out).await?,
            AccountCommand::Member(command) => command.run(&self.catalog, out).await?,
            AccountCommand::Token(command) => command.run(&self.catalog, &mut prompt, out).await?,
            AccountCommand::Key(command) => command.run(&self.catalog, &mut prompt, out).await?,
            AccountCommand::Stack(command) => command.run(&self.catalog, out).await?,
        }
        Ok(written.text())
    }
}

/// Every example in a help text is a line that the command would take.
#[test]
fn every_example_in_a_help_text_can_be_parsed() {
    let cli = Cli::command();
    cli.clone().debug_assert();
    let mut examples = 0;
    for group in cli.get_subcommands() {
        for command in group.get_subcommands() {
            let help = command.get_after_help().unwrap_or_else(|| panic!("`{}` has no example", command.get_name()));
            for line in help.to_string().lines().filter_map(|line| line.trim().strip_prefix("tally ")) {
                let line = line.split(['<', '|'].as_slice()).next().unwrap().replace(" --json", "");
                Cli::try_parse_from(["tally"].into_iter().chain(line.split_whitespace()))
                    .map_err(|error| error.to_string())
                    .map(drop)
                    .unwrap();
                examples += 1;
            }
        }
    }
    assert!(examples >= 20, "{examples}");
}
