//! Which of a source's settings its resolutions are made with.

use serde::Serialize;

use super::hashing::CanonicalError;
use super::http::{HttpAuth, HttpServer};
use super::measured::{Charge, ListedIdentity, UsageQuery};
use super::metrics::{MetricsConfig, MetricsKind};
use super::source::SourceSettings;
use super::{MeasuredSettings, TenantConfig};
use crate::hash::Hash128;
use crate::ids::SourceId;

/// Raised when the same settings, lines, inventory and metrics give other resolutions than before: every unit is then
/// resolved again.
pub const RESOLVER_VERSION: u32 = 1;

impl TenantConfig {
    /// What can change the resolutions of `source` beside its lines, its inventory and what is measured; `None` for
    /// sources whose units are not resolved. How patiently a server is asked, and with which secret, changes nothing.
    ///
    /// # Errors
    /// When there is no such source; see [`Self::to_canonical`].
    pub fn resolve_hash(&self, source: &SourceId) -> Result<Option<Hash128>, CanonicalError> {
        let source = self.source_or_error(source)?;
        let reads = match &source.settings {
            SourceSettings::Focus(_) | SourceSettings::Unbuilt { .. } => return Ok(None),
            SourceSettings::Synthetic(settings) => Reads::Synthetic {
                seed: settings.seed,
                resources: settings.resources,
                fanout: settings.fanout,
                identities: settings.identities,
            },
            SourceSettings::SelfManagedKafka(settings)
            | SourceSettings::GenericMetrics(settings) => Reads::Measured(Measured::of(settings)),
            // Whom its services list comes with the inventory, which has dates resolved again by itself.
            SourceSettings::ConfluentCloud(_) => Reads::Confluent,
        };
        let metrics = source.metrics.as_ref().map(Asked::of);
        let view = Resolving { resolver: RESOLVER_VERSION, reads, metrics };
        self.hash("apportion resolve\n", &view).map(Some)
    }
}

#[derive(Serialize)]
struct Resolving<'a> {
    resolver: u32,
    reads: Reads<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Asked<'a>>,
}

#[derive(Serialize)]
enum Reads<'a> {
    Synthetic { seed: u64, resources: u32, fanout: u32, identities: u32 },
    Measured(Measured<'a>),
    Confluent,
}

#[derive(Serialize)]
struct Measured<'a> {
    cluster: &'a str,
    usage: &'a [UsageQuery],
    measured: bool,
    query: Option<&'a str>,
    label: &'a str,
    /// Who is listed, by type, with the team that is said of them.
    listed: Vec<(&'a str, &'a str, Option<&'a str>)>,
    charge: Charge,
    /// Whose team decides nothing where the principal is charged.
    teams: Option<(Vec<(&'a str, &'a str)>, &'a str)>,
}

impl<'a> Measured<'a> {
    fn of(settings: &'a MeasuredSettings) -> Self {
        let identities = &settings.identities;
        let charges_teams = match identities.charge {
            Charge::Principal => false,
            Charge::Team => true,
        };
        let listed = |one: &'a ListedIdentity| {
            let team = one.team.as_deref().filter(|_| charges_teams);
            (one.kind.as_str(), one.id.as_str(), team)
        };
        let teams = identities.teams.iter().map(|(who, team)| (who.as_str(), team.as_str()));
        Self {
            cluster: &settings.cluster,
            usage: &settings.usage,
            measured: identities.measured,
            query: identities.query.as_deref(),
            label: &identities.label,
            listed: identities.listed.iter().map(listed).collect(),
            charge: identities.charge,
            teams: charges_teams.then(|| (teams.collect(), identities.default_team.as_str())),
        }
    }
}

#[derive(Serialize)]
struct Asked<'a> {
    kind: MetricsKind,
    url: &'a str,
    /// Servers of many tenants give each of them other numbers.
    username: Option<&'a str>,
    step_seconds: u32,
}

impl<'a> Asked<'a> {
    fn of(config: &'a MetricsConfig) -> Self {
        let HttpServer { url, auth, .. } = &config.server;
        let username = match auth {
            HttpAuth::Basic { username, .. } => Some(username.as_str()),
            HttpAuth::None | HttpAuth::Bearer { .. } => None,
        };
        Self { kind: config.kind, url, username, step_seconds: config.step_seconds }
    }
}
