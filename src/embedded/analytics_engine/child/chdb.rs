//! The C interface of `libchdb.so`, <https://github.com/chdb-io/chdb>, made safe.
#![allow(
    unsafe_code,
    reason = "calling a C library; everything unsafe of the workspace is in this file"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::slice;
use std::sync::Arc;

use libloading::{Library, Symbol};

use super::configuration;

/// What `chdb_connect` returns: a pointer to the pointer that queries are run on.
type ConnectionHandle = *mut *mut c_void;
type ResultHandle = *mut c_void;

type Connect = unsafe extern "C" fn(c_int, *mut *mut c_char) -> ConnectionHandle;
type Close = unsafe extern "C" fn(ConnectionHandle);
type Query =
    unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> ResultHandle;
type Destroy = unsafe extern "C" fn(ResultHandle);
type Text = unsafe extern "C" fn(ResultHandle) -> *const c_char;
type Size = unsafe extern "C" fn(ResultHandle) -> usize;
type Count = unsafe extern "C" fn(ResultHandle) -> u64;
type SetSignalHandlers = unsafe extern "C" fn(c_int);

/// The loaded library. Cheap to clone; never unloaded, because its threads do not end.
#[derive(Clone)]
pub(super) struct Chdb(Arc<Functions>);

struct Functions {
    connect: Connect,
    close: Close,
    query: Query,
    destroy: Destroy,
    buffer: Text,
    length: Size,
    error: Text,
    rows_read: Count,
    bytes_read: Count,
    /// `chdb_connect`'s arguments, the same for every connection.
    arguments: Vec<CString>,
}

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChdbError {
    #[error("the analytics library cannot be loaded: {0}")]
    Load(#[from] libloading::Error),
    #[error("a path of the analytics engine has a zero byte in it")]
    Path,
    #[error("the analytics library refuses to open its data folder")]
    Connect,
}

/// What a statement yields.
pub(super) struct Output {
    /// The rows, in the format that was asked for.
    pub(super) body: Vec<u8>,
    pub(super) rows_read: u64,
    pub(super) bytes_read: u64,
}

/// ClickHouse's text, as `Code: 62. DB::Exception: …`.
#[derive(Debug)]
pub(super) struct Exception(pub(super) String);

impl Chdb {
    /// Loads the library, to work on the data under `dir`.
    pub(super) fn open(library: &Path, dir: &Path) -> Result<Self, ChdbError> {
        // SAFETY: the library's initialisers are those of ClickHouse, which need nothing of us.
        let library = unsafe { Library::new(library)? };
        // It stays for good: function pointers below outlive every borrow of it.
        let library: &'static Library = Box::leak(Box::new(library));
        let arguments = [
            "clickhouse".to_owned(),
            format!("--path={}", configuration::data(dir).display()),
            format!("--config-file={}", configuration::main_file(dir).display()),
        ];
        let arguments = arguments
            .into_iter()
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| ChdbError::Path)?;
        // SAFETY: the types are those of chdb.h. An `int` is read as a `bool` is on all platforms
        // the library exists for.
        unsafe {
            let set_signal_handlers: Symbol<'_, SetSignalHandlers> =
                library.get(b"chdb_set_signal_handlers_enabled")?;
            set_signal_handlers(0);
            Ok(Self(Arc::new(Functions {
                connect: *library.get(b"chdb_connect")?,
                close: *library.get(b"chdb_close_conn")?,
                query: *library.get(b"chdb_query_n")?,
                destroy: *library.get(b"chdb_destroy_query_result")?,
                buffer: *library.get(b"chdb_result_buffer")?,
                length: *library.get(b"chdb_result_length")?,
                error: *library.get(b"chdb_result_error")?,
                rows_read: *library.get(b"chdb_result_rows_read")?,
                bytes_read: *library.get(b"chdb_result_bytes_read")?,
                arguments,
            })))
        }
    }

    /// A connection of its own: settings and roles of one do not show in another.
    pub(super) fn connect(&self) -> Result<Connection, ChdbError> {
        let functions = &self.0;
        let mut arguments: Vec<*mut c_char> = functions
            .arguments
            .iter()
            .map(|argument| argument.as_ptr().cast_mut())
            .collect();
        let count = c_int::try_from(arguments.len()).map_err(|_| ChdbError::Path)?;
        // SAFETY: the arguments outlive the call, which copies and does not change them.
        let handle = unsafe { (functions.connect)(count, arguments.as_mut_ptr()) };
        if handle.is_null() {
            return Err(ChdbError::Connect);
        }
        Ok(Connection {
            chdb: self.clone(),
            handle,
        })
    }
}

/// A session of the engine.
pub(super) struct Connection {
    chdb: Chdb,
    handle: ConnectionHandle,
}

// SAFETY: the engine does not tie connections to threads. It is not `Sync`: a connection runs one
// statement at a time.
unsafe impl Send for Connection {}

impl Connection {
    /// Runs one statement, or several with semicolons between them. May carry the data of an insert.
    pub(super) fn run(&mut self, statement: &[u8], format: &str) -> Result<Output, Exception> {
        let functions = &self.chdb.0;
        // SAFETY: the handle is open until `drop`; both texts are passed with their lengths and
        // outlive the call. The result is freed by `Answer`, after everything was copied out of it.
        unsafe {
            let answer = Answer {
                functions,
                handle: (functions.query)(
                    *self.handle,
                    statement.as_ptr().cast(),
                    statement.len(),
                    format.as_ptr().cast(),
                    format.len(),
                ),
            };
            if answer.handle.is_null() {
                return Err(Exception("Code: 1001. DB::Exception: no result".to_owned()));
            }
            let error = (functions.error)(answer.handle);
            if !error.is_null() {
                let text = CStr::from_ptr(error).to_string_lossy().into_owned();
                return Err(Exception(text));
            }
            let buffer = (functions.buffer)(answer.handle);
            let length = (functions.length)(answer.handle);
            let body = if buffer.is_null() || length == 0 {
                Vec::new()
            } else {
                slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec()
            };
            Ok(Output {
                body,
                rows_read: (functions.rows_read)(answer.handle),
                bytes_read: (functions.bytes_read)(answer.handle),
            })
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody has it any more.
        unsafe { (self.chdb.0.close)(self.handle) }
    }
}

/// A result that frees itself.
struct Answer<'f> {
    functions: &'f Functions,
    handle: ResultHandle,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the result is the library's, and nothing borrows from it any more.
            unsafe { (self.functions.destroy)(self.handle) }
        }
    }
}
