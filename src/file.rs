//! Files that a verb writes besides its result.
//!
//! What is there is never written into: a new file is made beside it and takes its name once it is whole, so that neither a
//! full disk nor a symbolic link costs anybody a file. `-` is standard output; what has no length, a pipe or a terminal, is
//! written as it is.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use roundtrip_core::text::escaped;

use crate::problem::{Exit, Problem, plain};
use crate::{out, platform};

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Those who could read the one before it; without one, what the umask says.
    Shared,
    /// Its owner: it has in it what peers sent.
    Private,
}

/// Where a file goes that an option asks for.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    access: Access,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Results go to standard error then.
    Stdout,
    /// A pipe, a terminal, a device.
    Stream(File),
    File,
}

impl Output {
    /// Before anything else is done: a file that cannot be written should not cost a run.
    pub(crate) fn new(path: &Path, access: Access) -> Result<Self, Problem> {
        let kind = Kind::of(path, access).map_err(|error| {
            let cause = format!("cannot write {}: {}", shown(path), plain(&error));
            Problem::usage(cause, "name a file in a folder that can be written to")
        })?;
        if matches!(kind, Kind::Stdout) {
            out::leave_stdout();
        }
        Ok(Self { path: path.to_owned(), access, kind })
    }

    /// Writes all of it.
    pub(crate) fn write(&self, text: &str) -> Result<(), Problem> {
        let written = match &self.kind {
            Kind::Stdout => return out::deliver_file(text.as_bytes()),
            Kind::Stream(file) => (&mut &*file).write_all(text.as_bytes()),
            Kind::File => Fresh::beside(&self.path, self.access).and_then(|mut fresh| {
                fresh.file.write_all(text.as_bytes())?;
                fresh.place().map(drop)
            }),
        };
        written.map_err(|error| self.incomplete(&error))
    }

    /// Begins what grows while the verb runs, with what `begin` writes. The file has its name from then on, so that it can
    /// be followed, and is there if the process is killed.
    ///
    /// `begin` is told whether there is a file that is replaced once it has returned.
    pub(crate) fn begin<R>(
        &self,
        begin: impl FnOnce(Writer, bool) -> io::Result<R>,
    ) -> Result<(R, Growing), Problem> {
        let begun = match &self.kind {
            Kind::Stdout => begin(Writer::Stdout(io::stdout()), false).map(|begun| (begun, Growing(None))),
            Kind::Stream(file) => file
                .try_clone()
                .and_then(|file| begin(Writer::File(file), false))
                .map(|begun| (begun, Growing(None))),
            Kind::File => Fresh::beside(&self.path, self.access).and_then(|fresh| {
                let begun = begin(Writer::File(fresh.file.try_clone()?), true)?;
                Ok((begun, Growing(Some(fresh.place()?))))
            }),
        };
        begun.map_err(|error| self.incomplete(&error))
    }

    /// What was written is not all.
    pub(crate) fn incomplete(&self, error: &io::Error) -> Problem {
        let cause = format!("cannot write {}: {}", shown(&self.path), plain(error));
        Problem::new(Exit::Incomplete, cause, "name a file where there is room for it")
    }
}

fn shown(path: &Path) -> String {
    escaped(&path.display().to_string()).to_string()
}

/// Writes a file that was not asked for before.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Problem> {
    Output::new(path, Access::Shared)?.write(text)
}

/// Refuses several things on standard output, which could not be told apart: `-` for these options, and the
/// document of `--json`.
pub(crate) fn refuse_to_mix(files: &[(&str, Option<&String>)], json: bool) -> Result<(), Problem> {
    let mut there = files.iter().filter(|(_, path)| path.is_some_and(|path| path == "-"));
    let Some((first, _)) = there.next() else { return Ok(()) };
    let second = there.next().map(|(second, _)| format!("{second} -")).or(json.then(|| "--json".to_owned()));
    second.map_or(Ok(()), |second| {
        let cause = format!("{first} - and {second} both write to standard output");
        Err(Problem::usage(cause, format!("name a file: {first} FILE")))
    })
}

/// A new folder among the temporary ones, which no other user can enter.
pub(crate) fn temporary_folder() -> io::Result<PathBuf> {
    unused(&std::env::temp_dir(), |path| platform::private_folder(&mut fs::DirBuilder::new()).create(path))
        .map(|(path, ())| path)
}

/// What grows.
#[derive(Debug)]
pub(crate) enum Writer {
    File(File),
    Stdout(io::Stdout),
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

/// The file that grows, if it is one.
#[derive(Debug)]
pub(crate) struct Growing(Option<File>);

impl Growing {
    /// Waits until all is where a full disk would be noticed.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), File::sync_all)
    }
}

impl Kind {
    fn of(path: &Path, access: Access) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        if platform::is_stream(path) {
            return File::options().append(true).open(path).map(Self::Stream);
        }
        match fs::symlink_metadata(path) {
            Ok(about) if about.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(about) if about.is_file() || about.is_symlink() => {}
            // A device or a pipe. What a link points to may be anything by now.
            Ok(_) => {
                let stream = platform::no_link(File::options().append(true)).open(path)?;
                return Ok(Self::Stream(stream));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let name = path.as_os_str().to_string_lossy();
        if name.is_empty() || name.ends_with(std::path::is_separator) {
            return Err(ErrorKind::NotFound.into());
        }
        // Made and removed again: only a file that is whole stays.
        Fresh::beside(path, access).map(|_fresh| Self::File)
    }
}

/// A new file beside the one that it will replace; removed if it does not.
struct Fresh {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_placed: bool,
}

impl Fresh {
    fn beside(path: &Path, access: Access) -> io::Result<Self> {
        let before = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
        if before.as_ref().is_some_and(|before| before.permissions().readonly()) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let (temporary, file) = unused(folder, |temporary| {
            let mut options = OpenOptions::new();
            if access == Access::Private {
                platform::private(&mut options);
            }
            options.write(true).create_new(true).open(temporary)
        })?;
        let fresh = Self { file, temporary, path: path.to_owned(), is_placed: false };
        if let Some(before) = before.filter(|_| access == Access::Shared) {
            platform::copy_access(&before, &fresh.file)?;
        }
        Ok(fresh)
    }

    /// Gives it its name, once all is where a full disk would be noticed.
    fn place(mut self) -> io::Result<File> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.is_placed = true;
        self.file.try_clone()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Names that are tried until one is free.
const TRIES: usize = 100;

/// Makes something under a name that nothing has.
fn unused<T>(folder: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    for _ in 0..TRIES {
        let path = folder.join(format!(".roundtrip-{:016x}", RandomState::new().build_hasher().finish()));
        match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (path, made)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
