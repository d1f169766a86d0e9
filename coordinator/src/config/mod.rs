//! What users write: a folder with `apportion.yaml` and `tenants/<tenant>.yaml`, read into
//! [`proto::config::TenantConfig`]. Every problem of every file is reported in one go.
//!
//! | file | what |
//! |---|---|
//! | [`folder`], [`git`] | files, tenants' names, the Git commit |
//! | [`yaml`], [`value`], [`scalar`], [`read`] | from text to checked values |
//! | [`settings`] | `apportion.yaml` |
//! | [`tenant`] and the sections it names | a tenant's file |
//! | [`built_in`] | the rules that kinds of sources bring along |
//! | [`places`] | where something stands in the files |
//! | [`unbuilt`], [`unused`] | what cannot run yet; what no rule comes to |
//! | [`schema`] | the JSON Schema of both files |

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proto::config::{RuleTest, TenantConfig};
use proto::ids::TenantId;

pub mod built_in;
pub mod confluent;
pub mod cost_share;
pub mod csv_file;
pub mod driver;
pub mod emitter;
pub mod folder;
pub mod git;
pub mod matching;
pub mod measured;
pub mod metrics;
pub mod names;
mod outputs;
pub mod owner;
pub mod params;
pub mod percent_table;
pub mod places;
pub mod problem;
pub mod read;
pub mod rule;
pub mod scalar;
pub mod schema;
pub mod settings;
pub mod source;
pub mod stage;
pub mod stated;
pub mod table;
pub mod tag;
pub mod tenant;
pub mod tier;
pub mod timing;
pub mod trial;
pub mod unbuilt;
pub mod unused;
pub mod value;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use problem::{Problem, Problems};
pub use schema::json_schema;
pub use settings::{Secret, Settings};
pub use trial::run as run_tests;
pub use unbuilt::refuse_unbuilt;

use places::Places;
use problem::Report;
use yaml::{Node, Value};

/// A configuration folder, read and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// What `apportion.yaml` says.
    pub settings: Settings,
    /// Every tenant, resolved. Never empty.
    pub tenants: BTreeMap<TenantId, TenantConfig>,
    /// The folder.
    pub dir: PathBuf,
    /// The Git commit that is checked out there, if any.
    pub git_commit: Option<String>,
    /// Where things stand in each tenant's file.
    pub places: BTreeMap<TenantId, Places>,
}

impl Config {
    /// Everything that cannot run yet, each where it stands.
    #[must_use]
    pub fn unbuilt(&self) -> Vec<Problem> {
        self.pointed(refuse_unbuilt)
    }

    /// Everything that no rule uses, by tenant, each where it stands.
    #[must_use]
    pub fn unused(&self) -> Vec<(TenantId, Problem)> {
        let of = |(id, tenant): (&TenantId, &TenantConfig)| {
            let places = self.places.get(id).cloned().unwrap_or_default();
            let found = unused::unused(tenant).into_iter();
            found.map(|problem| (id.clone(), places.point(problem))).collect::<Vec<_>>()
        };
        self.tenants.iter().flat_map(of).collect()
    }

    /// The users' tests that fail, each where it stands. `run`: see [`run_tests`].
    pub fn failed_tests(
        &self,
        run: impl Fn(&TenantConfig, &RuleTest) -> Result<(), String>,
    ) -> Vec<Problem> {
        self.pointed(|tenant| run_tests(tenant, &run))
    }

    fn pointed(&self, find: impl Fn(&TenantConfig) -> Vec<Problem>) -> Vec<Problem> {
        let of = |(id, tenant): (&TenantId, &TenantConfig)| {
            let places = self.places.get(id).cloned().unwrap_or_default();
            find(tenant).into_iter().map(move |problem| places.point(problem)).collect::<Vec<_>>()
        };
        self.tenants.iter().flat_map(of).collect()
    }
}

/// Reads a folder. `env` looks up variables for `${VAR}`.
///
/// # Errors
/// Every problem of every file.
pub fn load(dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    if !dir.is_dir() {
        let what = if dir.exists() { "this is no folder" } else { "there is no such folder" };
        let mend = "name a folder with tenants/<tenant>.yaml in it";
        return Err(Problems(vec![Problem::of_file(dir.to_string_lossy(), what, mend)]));
    }
    let mut report = Report::default();
    let config = read_all(dir, env, &mut report);
    report.finish()?;
    Ok(config)
}

/// The files of a folder that a configuration is read from, whatever is wrong with them; without those of secrets.
#[must_use]
pub fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut report = Report::default();
    if dir.is_dir() {
        // What variables hold chooses no file.
        read_all(dir, &|name| std::env::var(name).ok(), &mut report);
    }
    report.files().clone()
}

fn read_all(dir: &Path, env: value::Env<'_>, report: &mut Report) -> Config {
    let node = folder::settings_file(dir, report).and_then(|path| file(dir, &path, env, report));
    let empty = || (Settings::default(), None);
    let (settings, defaults) =
        node.map_or_else(empty, |node| settings::settings(&node, dir, report));
    let horizon =
        settings.nats.replay_horizon_days.map_or(settings::REPLAY_HORIZON_DAYS, u64::from);
    let (mut tenants, mut places) = (BTreeMap::new(), BTreeMap::new());
    for (id, path) in folder::tenant_files(dir, report) {
        let Some(mut node) = file(dir, &path, env, report) else { continue };
        tenant::add_defaults(&mut node, defaults.as_ref(), report);
        source::add_settings(&mut node, report, &mut |name, report| {
            file(dir, &dir.join(name), env, report)
        });
        if let Value::Null = node.value {
            node.value = Value::Map(Vec::new());
        }
        places.insert(id.clone(), Places::of(&node));
        let tenant = tenant::tenant(id.clone(), &node, dir, report);
        let days = tenant.as_ref().and_then(|tenant| tenant.retention_days);
        tenant::check_retention(&node, days, horizon, report);
        tenants.extend(tenant.map(|tenant| (id, tenant)));
    }
    let placed = tenants.iter().map(|(id, tenant)| (tenant, places.get(id)));
    outputs::check(dir, placed, report);
    let git_commit = git::commit_of(dir);
    Config { settings, tenants, dir: dir.to_owned(), git_commit, places }
}

fn file(dir: &Path, path: &Path, env: value::Env<'_>, report: &mut Report) -> Option<Node> {
    let mut node = yaml::parse(&folder::read(dir, path, report)?, report)?;
    value::resolve(&mut node, env, report);
    Some(node)
}
