//! A power cut: what was not synced is gone.
//!
//! The agent's data are on an ext4 of their own, on a loop device. Its image is copied while the file
//! system is mounted and in use: what the page cache has not written is not in the copy, whatever
//! `write` said. The copy is mounted instead, and its journal replayed, as after a power cut.
//!
//! A copy takes a while, so it counts only if a second one is equal: then nothing was written in between.
//! A file that is written without a sync just before shows that the model forgets what it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

const IMAGE_BYTES: u64 = 64 << 20;
const COPIES_MAX: usize = 50;
const CANARY: &str = "canary";

/// An ext4 on a file. A failing test leaves it mounted, so that the agent in it can be found and
/// stopped; it goes with the mount namespace.
pub struct Disk {
    mounted_at: PathBuf,
    directory: PathBuf,
    number: u32,
    /// How often a file that was not synced was gone.
    pub forgotten: u32,
}

/// Whether this machine can: root, in a mount namespace of its own, with a loop device.
pub fn is_possible() -> bool {
    let script = "f=$(mktemp) && truncate -s 8M $f && mkfs.ext4 -q $f && mkdir $f.d && \
                  mount -o loop $f $f.d; r=$?; umount $f.d; rm -rf $f $f.d; exit $r";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]);
    command.output().is_ok_and(|output| output.status.success())
}

impl Disk {
    /// Only in a mount namespace of the test's own. Images are kept in `directory`.
    pub fn mount(directory: &Path, at: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        fs::create_dir_all(at)?;
        let disk = Self {
            mounted_at: at.to_owned(),
            directory: directory.to_owned(),
            number: 0,
            forgotten: 0,
        };
        fs::File::create(disk.image(0))?.set_len(IMAGE_BYTES)?;
        call("mkfs.ext4", &["-q", "-F", text(&disk.image(0))])?;
        disk.mount_image()?;
        Ok(disk)
    }

    /// What a power cut would leave now.
    pub fn copy_unsynced(&self) -> Result<()> {
        fs::write(self.mounted_at.join(CANARY), "not synced")?;
        let (image, copy) = (self.image(self.number), self.image(self.number + 1));
        for _ in 0..COPIES_MAX {
            fs::copy(&image, &copy)?;
            if fs::read(&image)? == fs::read(&copy)? {
                return Ok(());
            }
        }
        bail!("the disk never stopped writing")
    }

    /// Nobody uses it now. What was there last comes back.
    pub fn swap(&mut self) -> Result<()> {
        call("umount", &[text(&self.mounted_at)])?;
        fs::remove_file(self.image(self.number))?;
        self.number += 1;
        self.mount_image()?;
        let canary = self.mounted_at.join(CANARY);
        let remembered = fs::read(&canary).is_ok_and(|content| !content.is_empty());
        self.forgotten += u32::from(!remembered);
        if canary.exists() {
            fs::remove_file(canary)?;
        }
        Ok(())
    }

    /// The agent has been stopped.
    pub fn unmount(&self) -> Result<()> {
        call("umount", &[text(&self.mounted_at)])
    }

    fn mount_image(&self) -> Result<()> {
        call("mount", &["-o", "loop", text(&self.image(self.number)), text(&self.mounted_at)])
    }

    fn image(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number}.ext4"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn call(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Ok(())
}
