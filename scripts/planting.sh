# Plants bugs, kept as patches, into a scratch copy of the tree, one at a time. Sourced by the `run` of each folder of them.
#
# environment: SCRATCH (target/mutants). It builds in a folder of its own: cargo would take what was built of the copy for what it builds of the tree.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=${SCRATCH:-$root/target/mutants}
copy=$scratch/tree
export CARGO_TARGET_DIR=$scratch/target CARGO_TERM_COLOR=never
mkdir -p "$copy"
missed=0

# The bugs of folder $1 that the remaining arguments name; without one, all.
bugs() {
    local folder=$1; shift
    if [ $# -gt 0 ]; then printf '%s\n' "$@"; else (cd "$folder" && ls -- *.patch | sed 's/\.patch$//'); fi
}

# Makes the copy what is committed or changed, not what was built. Unchanged files keep their times, so that little is built again.
clean_copy() {
    (cd "$root" && git ls-files -z --cached --others --exclude-standard) |
        (cd "$root" && while IFS= read -r -d '' file; do
            [ -f "$file" ] || continue
            cmp -s "$file" "$copy/$file" || { mkdir -p "$copy/$(dirname "$file")" && cp "$file" "$copy/$file"; }
        done)
}

# Prints a row: name, how much it took, what found it.
row() { printf '%-40s %-8s %s\n' "$@"; }

# Plants the bug of patch $1 and builds the packages that follow; says so and fails if that does not work.
plant() {
    local patch=$1 name packages=(); shift
    name=$(basename "$patch" .patch)
    for package in "$@"; do packages+=(-p "$package"); done
    clean_copy
    if ! patch --quiet --batch --no-backup-if-mismatch -d "$copy" -p1 < "$patch" > "$scratch/log" 2>&1; then
        row "$name" - 'DOES NOT APPLY'; missed=1; return 1
    fi
    if ! (cd "$copy" && cargo build --quiet --locked "${packages[@]}") > "$scratch/log" 2>&1; then
        row "$name" - "DOES NOT BUILD ($scratch/log)"; missed=1; return 1
    fi
}
