//! `man`: manual pages.

use std::path::PathBuf;

use super::super::args::Cli;
use super::super::context::Context;
use super::super::error::CliError;

/// Write manual pages, one for each command
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook man | man -l -                  read the main page
  spoolhook man /usr/local/share/man/man1   write a page for each command")]
pub struct Args {
    /// Where to write them; without it, the main page goes to stdout
    dir: Option<PathBuf>,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let Some(dir) = args.dir else {
        let (_, main) = pages().swap_remove(0);
        return context.out.bytes(&main);
    };
    std::fs::create_dir_all(&dir).map_err(|error| CliError::file("make", &dir, &error))?;
    let pages = pages();
    for (name, page) in &pages {
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, page).map_err(|error| CliError::file("write", &path, &error))?;
    }
    context.out.say(&format!("wrote {} pages to {}", pages.len(), dir.display()));
    Ok(())
}

/// Every page with its name, the main one first.
pub fn pages() -> Vec<(String, Vec<u8>)> {
    let mut command = Cli::tree();
    command.build();
    let mut pages = Vec::new();
    gather(&command, "spoolhook", &mut pages);
    pages
}

fn gather(command: &clap::Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) {
    let mut page = Vec::new();
    let named = command.clone().name(name.to_owned()).display_name(name.to_owned());
    clap_mangen::Man::new(named).render(&mut page).expect("a Vec takes what is written to it");
    pages.push((name.to_owned(), page));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        gather(sub, &format!("{name}-{}", sub.get_name()), pages);
    }
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_command_has_a_page_a_help_and_completions() {
        let pages = pages();
        let mut command = Cli::tree();
        command.build();
        let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish].map(|shell| {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::tree(), "spoolhook", &mut script);
            String::from_utf8(script).unwrap()
        });
        let mut stack: Vec<(String, clap::Command)> = vec![("spoolhook".to_owned(), command)];
        let mut seen = 0;
        while let Some((name, mut command)) = stack.pop() {
            seen += 1;
            let page = pages.iter().find(|(known, _)| *known == name).map(|(_, page)| String::from_utf8_lossy(page));
            let page = page.unwrap_or_else(|| panic!("{name} has no page"));
            assert!(page.contains(".SH SYNOPSIS") && page.len() > 300, "{name}:\n{page}");
            let help = command.render_long_help().to_string();
            assert!(help.contains("Usage:") && help.len() > 100, "{name}:\n{help}");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            for script in &scripts {
                assert!(script.contains(command.get_name()), "{name} is not completed");
            }
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                stack.push((format!("{name}-{}", sub.get_name()), sub.clone()));
            }
        }
        assert_eq!(seen, pages.len());
        assert!(seen > 25, "{seen}");
    }
}
