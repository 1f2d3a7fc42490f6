//! The account commands: what an operator does to rows of the catalog, also while a server runs on the same folder.

use tally_storage::catalog::Catalog;
use tally_storage::clock::Clock;
use tally_storage::folder::DataFolder;

use super::key::KeyCommand;
use super::member::MemberCommand;
use super::org::OrgCommand;
use super::stack::StackCommand;
use super::token::TokenCommand;
use super::user::UserCommand;
use crate::config::Config;
use crate::output::Output;
use crate::prompt::Prompt;

/// What an operator can do. A running server follows at once.
#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// Make, list, limit and delete organizations
    Org(Answered<OrgCommand>),
    /// Make, list and delete users, and set passwords
    User(Answered<UserCommand>),
    /// Say who belongs to an organization, and in which role
    Member(Answered<MemberCommand>),
    /// Make, list and revoke authtokens, with which reports are asked for
    Token(Answered<TokenCommand>),
    /// Make, list and revoke ingest keys, with which events are sent
    Key(Answered<KeyCommand>),
    /// Make, list and delete stacks
    Stack(Answered<StackCommand>),
}

/// A command and the form of its answer.
#[derive(Debug, clap::Args)]
pub struct Answered<C: clap::Subcommand> {
    /// Answer with JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: C,
}

impl AccountCommand {
    /// Does it in the data folder of the configuration.
    ///
    /// # Errors
    /// When the catalog cannot be opened, or whatever the command says.
    pub async fn run(self, config: &Config, clock: Clock) -> anyhow::Result<()> {
        DataFolder::open(&config.data_dir)?;
        let catalog = Catalog::open(&config.catalog_address(), clock).await?;
        let done = self.run_on(&catalog, &mut Prompt::stdin()).await;
        catalog.close().await;
        done
    }

    async fn run_on(self, catalog: &Catalog, prompt: &mut Prompt) -> anyhow::Result<()> {
        match self {
            Self::Org(Answered { json, command }) => command.run(catalog, prompt, &mut Output::stdout(json)).await,
            Self::User(Answered { json, command }) => command.run(catalog, prompt, &mut Output::stdout(json)).await,
            Self::Member(Answered { json, command }) => command.run(catalog, &mut Output::stdout(json)).await,
            Self::Token(Answered { json, command }) => command.run(catalog, prompt, &mut Output::stdout(json)).await,
            Self::Key(Answered { json, command }) => command.run(catalog, prompt, &mut Output::stdout(json)).await,
            Self::Stack(Answered { json, command }) => command.run(catalog, &mut Output::stdout(json)).await,
        }
    }
}
