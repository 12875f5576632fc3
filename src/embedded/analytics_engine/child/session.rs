//! Running one request on a session of its own.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tempfile::NamedTempFile;

use super::chdb::{Chdb, ChdbError, Connection, Exception, Output};
use super::configuration::{TENANCY_SEPARATOR, TENANCY_SETTING, TENANT_ROLE};
use super::statement::{Catalogue, Kind, Listed, Refusal, Tenancy, approve, quoted};

/// A server's query log, as far as it is asked for. The engine does not keep one.
const QUERY_LOG: &str = "CREATE TABLE IF NOT EXISTS system.query_log \
    (type LowCardinality(String), event_time DateTime, query_id String, \
    ProfileEvents Map(LowCardinality(String), UInt64)) \
    ENGINE = Memory SETTINGS min_rows_to_keep = 1000, max_rows_to_keep = 10000";
const FUNCTIONS: &str = "SELECT name, alias_to, categories, if(is_aggregate, 'aggregate', 'scalar') \
    FROM system.functions UNION ALL SELECT name, '', '', 'table' FROM system.table_functions";
/// The longest query that the engine's parser takes, in bytes.
const MAX_QUERY: usize = 262_144;
/// What a tenant's request sets for itself. Nothing else is taken from it.
const TENANT_SETTINGS: [&str; 9] = [
    "allow_ddl",
    "max_execution_time",
    "max_memory_usage",
    "max_result_bytes",
    "max_result_rows",
    "output_format_json_validate_utf8",
    "readonly",
    "result_overflow_mode",
    "timeout_overflow_mode",
];
const PROJECT_SETTING: &str = "SQL_project_id";
const BRANCH_SETTING: &str = "SQL_branch_id";

/// A request, taken apart.
#[derive(Default)]
pub(super) struct Request {
    pub(super) statement: String,
    /// What an insert inserts, unless it is part of the statement.
    pub(super) data: Bytes,
    pub(super) query_id: String,
    pub(super) database: String,
    pub(super) format: String,
    pub(super) settings: Vec<(String, String)>,
    pub(super) params: Vec<(String, String)>,
    pub(super) access: Access,
}

/// What a request may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    #[default]
    ReadWrite,
    /// As for any `GET`.
    ReadOnly,
}

/// Opens sessions. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sessions {
    chdb: Chdb,
    catalogue: Arc<Catalogue>,
    /// The engine shuts down with its last connection, so one stays open. It writes the query log.
    lasting: Arc<Mutex<Connection>>,
    /// Where the data of inserts lies while they run.
    dir: Arc<Path>,
}

impl Sessions {
    pub(super) fn open(
        chdb: Chdb,
        dir: &Path,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut connection = chdb.connect()?;
        let words = |exception: Exception| exception.0;
        connection
            .run(QUERY_LOG.as_bytes(), "Null")
            .map_err(words)?;
        let listed = connection
            .run(FUNCTIONS.as_bytes(), "TSVRaw")
            .map_err(words)?;
        let catalogue = read_catalogue(&String::from_utf8_lossy(&listed.body));
        if catalogue.is_empty() {
            return Err("the analytics library does not list its functions".into());
        }
        Ok(Self {
            chdb,
            catalogue: Arc::new(catalogue),
            lasting: Arc::new(Mutex::new(connection)),
            dir: dir.into(),
        })
    }

    /// Runs a request with all rights.
    pub(super) fn run_as_owner(&self, request: &Request) -> Result<Output, Exception> {
        let mut connection = self.connect()?;
        if !request.database.is_empty() {
            let database = request.database.replace('\\', "\\\\").replace('`', "\\`");
            prepare(&mut connection, &format!("USE `{database}`"))?;
        }
        for (name, value) in &request.settings {
            set(&mut connection, name, value)?;
        }
        for (name, value) in &request.params {
            set(&mut connection, &format!("param_{name}"), value)?;
        }
        if request.access == Access::ReadOnly {
            set(&mut connection, "readonly", "2")?;
        }
        if request.data.is_empty() {
            return connection.run(request.statement.as_bytes(), &request.format);
        }
        let file = self.data_file(&request.data)?;
        let statement = from_file(&request.statement, file.path())?;
        connection.run(statement.as_bytes(), &request.format)
    }

    /// Data that follows a statement would be searched for its end, which binary data may contain.
    fn data_file(&self, data: &[u8]) -> Result<NamedTempFile, Exception> {
        let written = NamedTempFile::new_in(&*self.dir).and_then(|mut file| {
            file.write_all(data)?;
            Ok(file)
        });
        written.map_err(|error| exception(1000, &format!("the data cannot be stored: {error}")))
    }

    /// Runs a tenant's query, if there is nothing in it that is not for tenants.
    pub(super) fn run_as_tenant(&self, request: &Request) -> Result<Output, Exception> {
        let setting = |name: &str| {
            let found = request.settings.iter().find(|(set, _)| set == name);
            found.map(|(_, value)| value.as_str())
        };
        let (Some(project), Some(branch)) = (setting(PROJECT_SETTING), setting(BRANCH_SETTING))
        else {
            return Err(exception(115, "Unknown setting 'SQL_project_id'"));
        };
        let tenancy = Tenancy { project, branch };
        let canonical = self.canonical(&request.statement)?;
        let approved = approve(&canonical, &self.catalogue, tenancy).map_err(refused)?;
        let mut connection = self.tenant_session(request, tenancy)?;
        let started = (Instant::now(), clock_gettime(ClockId::ProcessCPUTime));
        let output = connection.run(approved.as_bytes(), &request.format)?;
        self.log(&request.query_id, started);
        Ok(output)
    }

    /// The text as the engine's own parser understands it.
    fn canonical(&self, text: &str) -> Result<String, Exception> {
        if text.len() > MAX_QUERY {
            return Err(exception(
                62,
                "Syntax error: Max query size exceeded (can be increased with the `max_query_size` setting)",
            ));
        }
        let mut connection = self.connect()?;
        set(
            &mut connection,
            "max_query_size",
            &(4 * MAX_QUERY).to_string(),
        )?;
        // Of an expression without SELECT, a server makes nothing.
        set(&mut connection, "implicit_select", "0")?;
        let hex = data_encoding::HEXUPPER.encode(text.as_bytes());
        let asking = format!("SELECT formatQuerySingleLine(unhex('{hex}'))");
        let canonical = connection
            .run(asking.as_bytes(), "TSVRaw")
            .map_err(without_our_question)?;
        let canonical = String::from_utf8(canonical.body)
            .map_err(|_| exception(62, "Syntax error: the query is not valid UTF-8"))?;
        Ok(canonical.trim_end_matches('\n').to_owned())
    }

    fn tenant_session(
        &self,
        request: &Request,
        tenancy: Tenancy<'_>,
    ) -> Result<Connection, Exception> {
        let Tenancy { project, branch } = tenancy;
        if project.contains(TENANCY_SEPARATOR) || branch.contains(TENANCY_SEPARATOR) {
            return Err(exception(36, "A project or branch cannot have that id"));
        }
        let mut connection = self.connect()?;
        prepare(&mut connection, &format!("SET ROLE {TENANT_ROLE}"))?;
        for (name, value) in &request.settings {
            if TENANT_SETTINGS.contains(&name.as_str()) && name != "readonly" {
                set(&mut connection, name, value)?;
            }
        }
        for (name, value) in &request.params {
            set(&mut connection, &format!("param_{name}"), value)?;
        }
        let whose = format!("{project}{TENANCY_SEPARATOR}{branch}");
        set(&mut connection, TENANCY_SETTING, &whose)?;
        // From here on nothing can be set any more.
        set(&mut connection, "readonly", "1")?;
        Ok(connection)
    }

    /// Writes down what a query cost. The processor's time is that of the whole process meanwhile,
    /// which is the query's own as long as no other runs.
    fn log(&self, query_id: &str, (clock, cpu): (Instant, rustix::time::Timespec)) {
        let wall_micros = clock.elapsed().as_micros();
        let now = clock_gettime(ClockId::ProcessCPUTime);
        let nanos = (now.tv_sec - cpu.tv_sec) * 1_000_000_000 + (now.tv_nsec - cpu.tv_nsec);
        let cpu_micros = nanos.max(0) / 1000;
        let insert = format!(
            "INSERT INTO system.query_log VALUES ('QueryFinish', now(), {}, \
             map('OSCPUVirtualTimeMicroseconds', {cpu_micros}, 'RealTimeMicroseconds', {wall_micros}))",
            quoted(query_id)
        );
        let mut lasting = match self.lasting.lock() {
            Ok(lasting) => lasting,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Err(Exception(text)) = lasting.run(insert.as_bytes(), "Null") {
            tracing::warn!(%text, "the query log cannot be written");
        }
    }

    fn connect(&self) -> Result<Connection, Exception> {
        self.chdb
            .connect()
            .map_err(|error: ChdbError| exception(1001, &error.to_string()))
    }
}

/// `INSERT INTO t (a) FORMAT RowBinary`, reading that file.
fn from_file(statement: &str, file: &Path) -> Result<String, Exception> {
    // The names of columns come before; what could be confused is quoted, or after the last one.
    let clause = |word| {
        let upper = statement.to_ascii_uppercase();
        upper.rfind(&format!(" {word} "))
    };
    let Some(format) = clause("FORMAT") else {
        return Err(exception(
            62,
            "Syntax error: data without INSERT … FORMAT before it",
        ));
    };
    let at = clause("SETTINGS").map_or(format, |settings| settings.min(format));
    let (before, after) = statement.split_at(at);
    let file = quoted(&file.display().to_string());
    Ok(format!(
        "{before} FROM INFILE {file} COMPRESSION 'none'{after}"
    ))
}

fn prepare(connection: &mut Connection, statement: &str) -> Result<(), Exception> {
    connection.run(statement.as_bytes(), "Null").map(drop)
}

fn set(connection: &mut Connection, name: &str, value: &str) -> Result<(), Exception> {
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(exception(115, &format!("Unknown setting {}", quoted(name))));
    }
    prepare(connection, &format!("SET {name} = {}", quoted(value)))
}

fn read_catalogue(listed: &str) -> Catalogue {
    Catalogue::new(listed.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Listed {
            name: fields.next()?,
            alias_to: fields.next()?,
            category: fields.next()?,
            kind: match fields.next()? {
                "aggregate" => Kind::Aggregate,
                "table" => Kind::Table,
                _ => Kind::Scalar,
            },
        })
    }))
}

/// An error in ClickHouse's words.
pub(super) fn exception(code: u32, message: &str) -> Exception {
    Exception(format!("Code: {code}. DB::Exception: {message}"))
}

fn refused(Refusal { code, message }: Refusal) -> Exception {
    exception(code, &message)
}

/// A syntax error names the query that asked for the canonical text; nobody else wrote that one.
fn without_our_question(Exception(text): Exception) -> Exception {
    let end = text
        .find(": In scope SELECT formatQuery")
        .unwrap_or(text.len());
    Exception(text[..end].to_owned())
}
