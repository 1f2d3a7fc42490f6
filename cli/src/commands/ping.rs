//! `tally ping`: whether a server is ready, for the health checks of containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ureq::Agent;

use crate::config::Config;

/// A server that takes longer is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// The options of `tally ping`.
#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// The server [default: the one of this configuration]
    #[arg(long, value_name = "URL", env = "TALLY_URL")]
    pub url: Option<String>,
}

impl PingArgs {
    /// Asks `/readyz`.
    ///
    /// # Errors
    /// When the server does not answer, or says that it is not ready.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let server = self.url.clone().unwrap_or_else(|| base_url(config.server.bind));
        let url = format!("{}/readyz", server.trim_end_matches('/'));
        let agent: Agent =
            Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build().into();
        let mut answer = agent.get(&url).call().with_context(|| format!("`{url}` does not answer"))?;
        if !answer.status().is_success() {
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            bail!("`{url}` answers {}: {body}", answer.status());
        }
        Ok(())
    }
}

/// Where a server that listens there can be reached from its own machine.
#[must_use]
pub fn base_url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_its_own_machine() {
        for (bind, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:80", "http://[::1]:80"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            assert_eq!(base_url(bind.parse().unwrap()), url);
        }
    }
}
