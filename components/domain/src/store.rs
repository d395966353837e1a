//! The port to storage, noun by noun.
//!
//! Reads stand outside of transactions; writes happen in one [`Transaction`] and count when it is
//! committed. Dropping it undoes them. A lookup that finds nothing is `None` or `false`, never an
//! error; what a missing row means is the rules' business. Reads that a member makes join the
//! membership, so that another tenant's row is simply not found, in one round trip.

use crate::builds::{Build, BuildAccess, BuildQuery, BuiltImage};
use crate::databases::{Backup, Database, DatabaseAccess, DatabaseStatus, Desired};
use crate::deployments::{Deployment, DeploymentAccess, LogLine};
use crate::environments::Environment;
use crate::error::Result;
use crate::events::{ChainHead, Event, EventQuery};
use crate::future::{PortBound, PortFuture};
use crate::git::GitAccount;
use crate::ids::{
    BackupId, BuildId, DatabaseId, DeploymentId, GitAccountId, OperationId, OrganizationId,
    ProjectId, Revision, ServiceId, UserId,
};
use crate::operations::{Operation, Subject};
use crate::organizations::{Membership, Organization};
use crate::page::{Page, PageRequest};
use crate::projects::{Project, ProjectAccess, ProjectSummary};
use crate::services::{Service, ServiceAccess};
use crate::time::Timestamp;
use crate::users::{Account, User};

/// Everything that can be read, and the way to write.
pub trait Store:
    UserReads
    + ProjectReads
    + ServiceReads
    + DeploymentReads
    + BuildReads
    + DatabaseReads
    + OperationReads
    + GitAccountReads
    + EventReads
{
    /// Starts a transaction.
    fn begin<'a>(&'a self) -> PortFuture<'a, Result<Box<dyn Transaction + 'a>>>;
}

/// Writes that belong together.
pub trait Transaction:
    UserWrites
    + OrganizationWrites
    + ProjectWrites
    + EnvironmentWrites
    + ServiceWrites
    + DeploymentWrites
    + BuildWrites
    + DatabaseWrites
    + OperationWrites
    + GitAccountWrites
    + EventWrites
{
    /// Makes the writes durable. After an error none of them remains.
    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Result<()>>
    where
        Self: 'a;
}

/// Reading users.
pub trait UserReads: PortBound {
    /// The account with this id.
    fn account(&self, id: UserId) -> PortFuture<'_, Result<Option<Account>>>;

    /// The account with this address, which is in lower case.
    fn account_by_email<'a>(&'a self, email: &'a str) -> PortFuture<'a, Result<Option<Account>>>;
}

/// Writing users.
pub trait UserWrites: PortBound {
    /// Adds a user. `AlreadyExists` when the address is taken.
    fn insert_user<'a>(
        &'a self,
        user: &'a User,
        password_hash: &'a str,
    ) -> PortFuture<'a, Result<()>>;

    /// Writes name, address, picture, revision and time of change over the row that still has the
    /// revision `read`; `false` when there is none. `AlreadyExists` when the address is taken.
    fn update_user<'a>(&'a self, user: &'a User, read: Revision) -> PortFuture<'a, Result<bool>>;
}

/// Writing organizations.
pub trait OrganizationWrites: PortBound {
    /// Adds an organization with its first member.
    fn insert_organization<'a>(
        &'a self,
        organization: &'a Organization,
        member: &'a Membership,
    ) -> PortFuture<'a, Result<()>>;
}

/// Reading projects.
pub trait ProjectReads: PortBound {
    /// A page of the projects of every organization in which this user is a member, newest change
    /// first, then by descending id. `search` is a folded text to be found in name or description.
    fn list_projects<'a>(
        &'a self,
        member: UserId,
        search: Option<&'a str>,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<ProjectSummary>>>;

    /// The project, where this user is a member of its organization.
    fn project(
        &self,
        member: UserId,
        id: ProjectId,
    ) -> PortFuture<'_, Result<Option<ProjectAccess>>>;
}

/// Writing projects.
pub trait ProjectWrites: PortBound {
    /// Adds a project.
    fn insert_project<'a>(&'a self, project: &'a Project) -> PortFuture<'a, Result<()>>;

    /// Writes name, description, revision and time of change over the row that still has the
    /// revision `read`; `false` when there is none.
    fn update_project<'a>(
        &'a self,
        project: &'a Project,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// Deletes the project that still has the revision `read`, with its environments and services;
    /// `false` when there is none.
    fn delete_project(&self, id: ProjectId, read: Revision) -> PortFuture<'_, Result<bool>>;
}

/// Writing environments.
pub trait EnvironmentWrites: PortBound {
    /// Adds the environments a project starts with.
    fn insert_environments<'a>(
        &'a self,
        environments: &'a [Environment; 3],
    ) -> PortFuture<'a, Result<()>>;
}

/// Reading services.
pub trait ServiceReads: PortBound {
    /// The services of a project, oldest first, at most `limit`.
    fn list_services(&self, project: ProjectId, limit: i64)
    -> PortFuture<'_, Result<Vec<Service>>>;

    /// The service, where this user is a member of its organization.
    fn service(
        &self,
        member: UserId,
        id: ServiceId,
    ) -> PortFuture<'_, Result<Option<ServiceAccess>>>;
}

/// Writing services.
pub trait ServiceWrites: PortBound {
    /// Adds a service. `AlreadyExists` when the name is taken in its project, `NotFound` when the
    /// project is gone.
    fn insert_service<'a>(&'a self, service: &'a Service) -> PortFuture<'a, Result<()>>;

    /// Writes everything that can change over the row that still has the revision `read`; `false`
    /// when there is none. `AlreadyExists` when the name is taken in its project.
    fn update_service<'a>(
        &'a self,
        service: &'a Service,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// Deletes the service that still has the revision `read`; `false` when there is none.
    fn delete_service(&self, id: ServiceId, read: Revision) -> PortFuture<'_, Result<bool>>;
}

/// Reading deployments.
pub trait DeploymentReads: PortBound {
    /// The deployments of a service, newest first, at most `limit`.
    fn list_deployments(
        &self,
        service: ServiceId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Deployment>>>;

    /// The deployment, where this user is a member of its organization.
    fn deployment(
        &self,
        member: UserId,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<DeploymentAccess>>>;

    /// The lines of a deployment's log, oldest first, at most `limit`.
    fn deployment_log(&self, id: DeploymentId, limit: i64) -> PortFuture<'_, Result<Vec<LogLine>>>;
}

/// Writing deployments, and what they make of their services.
pub trait DeploymentWrites: PortBound {
    /// Adds a deployment. `NotFound` when the service is gone.
    fn insert_deployment<'a>(&'a self, deployment: &'a Deployment) -> PortFuture<'a, Result<()>>;

    /// Writes status, commit, image digest, error, times and revision over the row that still has the
    /// revision `read`; `false` when there is none.
    fn update_deployment<'a>(
        &'a self,
        deployment: &'a Deployment,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// Makes a live deployment retired, whatever revision it has.
    fn retire_deployment(&self, id: DeploymentId, now: Timestamp) -> PortFuture<'_, Result<()>>;

    /// Adds a line to a deployment's log.
    fn append_deployment_log<'a>(
        &'a self,
        id: DeploymentId,
        at: Timestamp,
        message: &'a str,
    ) -> PortFuture<'a, Result<()>>;

    /// Whether a service has a host name.
    fn has_hostname(&self, service: ServiceId) -> PortFuture<'_, Result<bool>>;

    /// Gives a service a host name; `false` when it is taken.
    fn insert_hostname<'a>(
        &'a self,
        host: &'a str,
        service: ServiceId,
        now: Timestamp,
    ) -> PortFuture<'a, Result<bool>>;

    /// Makes a deployment the live one of its service, which is running then, and answers the one
    /// that was. The service gets its next revision.
    fn make_live(
        &self,
        service: ServiceId,
        deployment: DeploymentId,
        now: Timestamp,
    ) -> PortFuture<'_, Result<Option<DeploymentId>>>;

    /// Makes a service running when it has a live deployment and failed when it has none. The
    /// service gets its next revision.
    fn settle_service(&self, service: ServiceId, now: Timestamp) -> PortFuture<'_, Result<()>>;
}

/// Reading builds.
pub trait BuildReads: PortBound {
    /// A page of the builds that fit the query, newest first.
    fn list_builds<'a>(
        &'a self,
        query: &'a BuildQuery,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<Build>>>;

    /// The build, where this user is a member of its organization.
    fn build(&self, member: UserId, id: BuildId) -> PortFuture<'_, Result<Option<BuildAccess>>>;

    /// The build with this id, whoever asks.
    fn build_to_carry_out(&self, id: BuildId) -> PortFuture<'_, Result<Option<Build>>>;

    /// The newest image that an organization's builds made under this name and tag.
    fn built_image<'a>(
        &'a self,
        organization: OrganizationId,
        name: &'a str,
        tag: &'a str,
    ) -> PortFuture<'a, Result<Option<BuiltImage>>>;
}

/// Writing builds.
pub trait BuildWrites: PortBound {
    /// Adds a build.
    fn insert_build<'a>(&'a self, build: &'a Build) -> PortFuture<'a, Result<()>>;

    /// Writes what can change over the row that still has the revision `read`; `false` when there
    /// is none.
    fn update_build<'a>(&'a self, build: &'a Build, read: Revision)
    -> PortFuture<'a, Result<bool>>;

    /// How many builds of an organization have not ended.
    fn unfinished_builds(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>>;
}

/// A database as the reconciler looks at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptDatabase {
    /// The database.
    pub id: DatabaseId,
    /// What it should be.
    pub desired: Desired,
    /// What is known of it.
    pub status: DatabaseStatus,
}

/// Reading databases. Those that are to be deleted are shown to the reconciler alone.
pub trait DatabaseReads: PortBound {
    /// The databases of every organization in which this user is a member, oldest first, at most
    /// `limit`.
    fn list_databases(
        &self,
        member: UserId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<DatabaseAccess>>>;

    /// The database, where this user is a member of its organization.
    fn database(
        &self,
        member: UserId,
        id: DatabaseId,
    ) -> PortFuture<'_, Result<Option<DatabaseAccess>>>;

    /// The backups of a database, newest first, at most `limit`.
    fn list_backups(&self, database: DatabaseId, limit: i64)
    -> PortFuture<'_, Result<Vec<Backup>>>;

    /// A backup of this database.
    fn backup(&self, database: DatabaseId, id: BackupId) -> PortFuture<'_, Result<Option<Backup>>>;

    /// The first backup of a database that was asked for and is not there yet.
    fn next_backup(&self, database: DatabaseId) -> PortFuture<'_, Result<Option<Backup>>>;

    /// The database with this id, whoever asks and whatever it should be.
    fn database_to_carry_out(&self, id: DatabaseId) -> PortFuture<'_, Result<Option<Database>>>;

    /// Every database that is not to be deleted.
    fn kept_databases(&self) -> PortFuture<'_, Result<Vec<KeptDatabase>>>;
}

/// Writing databases and their backups.
pub trait DatabaseWrites: PortBound {
    /// How many databases an organization has, those that are to be deleted left out.
    fn count_databases(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>>;

    /// Adds a database. `AlreadyExists` when the name is taken in its organization.
    fn insert_database<'a>(&'a self, database: &'a Database) -> PortFuture<'a, Result<()>>;

    /// Writes everything that can change over the row that still has the revision `read`; `false`
    /// when there is none. `AlreadyExists` when the name is taken in its organization.
    fn update_database<'a>(
        &'a self,
        database: &'a Database,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// Deletes the database that still has the revision `read`, with its backups; `false` when there
    /// is none.
    fn delete_database(&self, id: DatabaseId, read: Revision) -> PortFuture<'_, Result<bool>>;

    /// Adds a backup.
    fn insert_backup<'a>(&'a self, backup: &'a Backup) -> PortFuture<'a, Result<()>>;

    /// Writes everything that can change over the row that still has the revision `read`; `false`
    /// when there is none.
    fn update_backup<'a>(
        &'a self,
        backup: &'a Backup,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// Deletes a backup.
    fn delete_backup(&self, id: BackupId) -> PortFuture<'_, Result<()>>;
}

/// A service with a live deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveService {
    /// The service.
    pub service_id: ServiceId,
    /// What is live.
    pub deployment_id: DeploymentId,
    /// Under which name it is reached; `None` for what answers no requests.
    pub host: Option<String>,
}

/// What a service's releases are called, and beside whom they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlace {
    /// The project it is in.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
}

/// Reading operations, and what the reconciler needs beside them: it is nobody's member.
pub trait OperationReads: PortBound {
    /// Takes the operation that is due and the first of its lane, that nobody else holds, and
    /// gives it to this holder until the lease ends.
    fn claim_operation<'a>(
        &'a self,
        holder: &'a str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> PortFuture<'a, Result<Option<Operation>>>;

    /// When the next operation is due that nobody holds.
    fn next_due(&self) -> PortFuture<'_, Result<Option<Timestamp>>>;

    /// The deployment with this id, whoever asks.
    fn deployment_to_carry_out(
        &self,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<Deployment>>>;

    /// Every service with a live deployment.
    fn live_services(&self) -> PortFuture<'_, Result<Vec<LiveService>>>;

    /// Under which name a service is reached, if under any.
    fn hostname(&self, service: ServiceId) -> PortFuture<'_, Result<Option<String>>>;

    /// Where a service is, whoever asks.
    fn service_place(&self, id: ServiceId) -> PortFuture<'_, Result<Option<ServicePlace>>>;

    /// Every operation that has not ended, and what it is about.
    fn unfinished(&self) -> PortFuture<'_, Result<Vec<(OperationId, Subject)>>>;
}

/// Writing operations.
pub trait OperationWrites: PortBound {
    /// Adds an operation.
    fn insert_operation<'a>(&'a self, operation: &'a Operation) -> PortFuture<'a, Result<()>>;

    /// Writes what can change over the row that still has the revision `read`; `false` when there
    /// is none. A finished one is nobody's any more.
    fn update_operation<'a>(
        &'a self,
        operation: &'a Operation,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>>;

    /// How many operations of a lane have not ended.
    fn unfinished_operations<'a>(&'a self, lane: &'a str) -> PortFuture<'a, Result<i64>>;
}

/// Reading git accounts.
pub trait GitAccountReads: PortBound {
    /// The accounts of a user, oldest first.
    fn list_git_accounts(&self, user: UserId) -> PortFuture<'_, Result<Vec<GitAccount>>>;

    /// The account with this id, if it is this user's.
    fn git_account(
        &self,
        user: UserId,
        id: GitAccountId,
    ) -> PortFuture<'_, Result<Option<GitAccount>>>;
}

/// Writing git accounts.
pub trait GitAccountWrites: PortBound {
    /// Adds an account. `AlreadyExists` when the user has one at this provider.
    fn insert_git_account<'a>(&'a self, account: &'a GitAccount) -> PortFuture<'a, Result<()>>;
}

/// Reading the audit trail.
pub trait EventReads: PortBound {
    /// The events that fit the query, newest first, from `offset`, at most `limit`.
    fn list_events<'a>(
        &'a self,
        query: &'a EventQuery,
        offset: i64,
        limit: i64,
    ) -> PortFuture<'a, Result<Vec<Event>>>;

    /// The links of an organization's chain after a sequence number, in order, at most `limit`.
    fn event_chain(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Event>>>;
}

/// Writing the audit trail.
pub trait EventWrites: PortBound {
    /// Keeps every other writer from the organization's chain until this transaction ends, and
    /// says where the chain ends. `NotFound` when the organization is gone.
    fn lock_event_chain(&self, organization: OrganizationId) -> PortFuture<'_, Result<ChainHead>>;

    /// Adds a link to the locked chain.
    fn append_event<'a>(&'a self, event: &'a Event) -> PortFuture<'a, Result<()>>;
}
