//! Key files: made at first start, readable by their owner alone, several of a kind for rotation.
//!
//! `keys/token-0001.pem` signs tokens, `keys/secret-0001.key` seals secrets. The one with the
//! highest number is used for what is new, all of them for what was made before.

use std::io::{ErrorKind, Write as _};

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, MetadataExt, OpenOptions, OpenOptionsExt};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};

use crate::IdentityError;

/// Where the files are, inside the data directory.
const DIRECTORY: &str = "keys";

/// The keys of both kinds, the oldest first; never empty.
pub(crate) struct Keys {
    pub(crate) tokens: Vec<SigningKey>,
    pub(crate) secrets: Vec<[u8; 32]>,
}

impl Keys {
    /// Reads the keys, and makes those that are not there yet.
    pub(crate) fn load(data: &Dir) -> Result<Self, IdentityError> {
        let directory = open_directory(data)?;
        if numbers(&directory, "token-", ".pem")?.is_empty() {
            create_token_key(&directory, 1)?;
        }
        if numbers(&directory, "secret-", ".key")?.is_empty() {
            create(&directory, "secret-0001.key", hex::encode(random::<32>()?).as_bytes())?;
        }
        let mut tokens = Vec::new();
        for number in numbers(&directory, "token-", ".pem")? {
            let name = format!("token-{number:04}.pem");
            let key = SigningKey::from_pkcs8_pem(&read(&directory, &name)?)
                .map_err(|_| damaged(&name))?;
            tokens.push(key);
        }
        let mut secrets = Vec::new();
        for number in numbers(&directory, "secret-", ".key")? {
            let name = format!("secret-{number:04}.key");
            let mut key = [0; 32];
            hex::decode_to_slice(read(&directory, &name)?.trim(), &mut key)
                .map_err(|_| damaged(&name))?;
            secrets.push(key);
        }
        Ok(Self { tokens, secrets })
    }
}

/// Makes a new key for signing tokens, which is the last one from the next [`Keys::load`] on.
pub(crate) fn rotate_token_key(data: &Dir) -> Result<(), IdentityError> {
    let directory = open_directory(data)?;
    let newest = numbers(&directory, "token-", ".pem")?.last().copied().unwrap_or(0);
    create_token_key(&directory, newest + 1)
}

fn create_token_key(directory: &Dir, number: u32) -> Result<(), IdentityError> {
    let key = SigningKey::from_bytes(&random()?);
    let text = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| IdentityError::Unavailable(format!("a key cannot be encoded: {error}")))?;
    create(directory, &format!("token-{number:04}.pem"), text.as_bytes())
}

fn open_directory(data: &Dir) -> Result<Dir, IdentityError> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match data.create_dir_with(DIRECTORY, &builder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(unreadable(DIRECTORY, &error));
        }
        _ => {}
    }
    let metadata = data.metadata(DIRECTORY).map_err(|error| unreadable(DIRECTORY, &error))?;
    check_mode(DIRECTORY, metadata.mode(), "700")?;
    data.open_dir(DIRECTORY).map_err(|error| unreadable(DIRECTORY, &error))
}

/// The numbers of the key files of a kind, in ascending order.
fn numbers(directory: &Dir, prefix: &str, suffix: &str) -> Result<Vec<u32>, IdentityError> {
    let mut numbers = Vec::new();
    for entry in directory.entries().map_err(|error| unreadable(DIRECTORY, &error))? {
        let name = entry.map_err(|error| unreadable(DIRECTORY, &error))?.file_name();
        let number = name.to_str().and_then(|name| {
            let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            (digits.len() == 4).then(|| digits.parse::<u32>().ok())?
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(directory: &Dir, name: &str) -> Result<String, IdentityError> {
    let metadata = directory.metadata(name).map_err(|error| unreadable(name, &error))?;
    check_mode(&format!("{DIRECTORY}/{name}"), metadata.mode(), "600")?;
    directory.read_to_string(name).map_err(|error| unreadable(name, &error))
}

/// Writes a key so that it is either there as a whole or not at all.
fn create(directory: &Dir, name: &str, content: &[u8]) -> Result<(), IdentityError> {
    let written = format!("{name}.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let write = || {
        let mut file = directory.open_with(&written, &options)?;
        file.write_all(content)?;
        file.sync_all()?;
        directory.rename(&written, directory, name)
    };
    write().map_err(|error| {
        IdentityError::Unavailable(format!("{DIRECTORY}/{name} cannot be written: {error}"))
    })
}

fn check_mode(path: &str, mode: u32, wanted: &str) -> Result<(), IdentityError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(IdentityError::Unavailable(format!(
        "{path} in the data directory is open to others (mode {:o}); run chmod {wanted} on it",
        mode & 0o777
    )))
}

fn unreadable(path: &str, error: &std::io::Error) -> IdentityError {
    IdentityError::Unavailable(format!("{path} in the data directory cannot be read: {error}"))
}

fn damaged(name: &str) -> IdentityError {
    IdentityError::Unavailable(format!(
        "{DIRECTORY}/{name} in the data directory is no key; restore it from a backup"
    ))
}

/// Fresh random bytes.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], IdentityError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| {
        IdentityError::Unavailable(format!("the system has no randomness: {error}"))
    })?;
    Ok(bytes)
}
