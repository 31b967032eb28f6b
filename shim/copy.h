// gantry-copy: file ops of builds. This header is the contract between its files: copy.c (program), copy-request.c (what is asked),
// copy-glob.c (patterns), copy-select.c (which sources are meant), copy-tree.c (copies), copy-data.c
// (contents of files), copy-make.c (mkdir, mkfile), copy-owner.c (owners and modes), copy-link.c (files that are shared), copy-digest.c (what a source holds); and
// trees of volumes: copy-clone.c, copy-exchange.c, copy-size.c, with copy-list.c.
// Trees are seen through mounts of their own (layer-mount.c); nobody else writes to the destination meanwhile, and no path
// leads out of its tree, whatever symbolic links a step made.
#ifndef GANTRY_COPY_H
#define GANTRY_COPY_H

#include <sys/stat.h>
#include <sys/types.h>

#include "layer.h"

// The request's own fault, told apart by the daemon; besides those of layer.h.
enum { EXIT_NOT_FOUND = 5 };

enum { SOURCES_LIMIT = 512 };

// copy-request.c: the request on stdin, words that end with NUL.
void read_request(void);
bool has_word(void);
const char *next_word(void);
uint64_t next_number(void);
// `size` bytes after the last word.
const char *next_bytes(uint64_t size);
// Mounts the tree that the next words name; its root.
int next_tree(bool writable);
// Mounts a WRITABLE and the TREEs of inputs; with `share`, a single input so that its files can be shared. The number of inputs.
uint64_t next_trees(bool share, int *destination, int inputs[SOURCES_LIMIT]);

// copy-glob.c: Go's filepath.Match for one component; ** is not special in it.
bool match_component(const char *pattern, const char *name);
bool is_pattern(const char *text);
// Whether a relative path, or a directory above it, is excluded; the last pattern that matches decides, "!" negates.
struct patterns {
  const char **list;
  size_t count;
  bool has_negation;
};
bool is_excluded(const struct patterns *patterns, const char *path);
void check_pattern(const char *pattern);

// copy-select.c
struct source {
  const char *path;
  bool wildcard, follow, parents, required;
  struct patterns exclude;
};
// Reads the words of a source: path, flags (letters w, f, p, r), number of patterns, patterns.
void next_source(struct source *source);
// A directory on the way to what is copied; `dst` is -1 while it is not needed there.
struct level {
  struct level *up;
  int src, dst;
  const char *name;
};
// What a source selects: `path` resolved, `asked` before a link at its end was followed and `name` that one's last component,
// `under` the levels of --parents below the pivot.
struct match {
  char path[PATH_LIMIT];
  const char *asked;
  const char *name;
  char under[PATH_LIMIT];
};
typedef void (*match_function)(int root, const struct match *match, void *context);
// Calls for each match, in order of names; the number of matches.
size_t select_sources(int root, const struct source *source, match_function call, void *context);
// Sorted names in a directory, without those that stand for nothing; the caller frees each and the list.
char **list_names(int directory, size_t *count, const char *what);

// copy-owner.c
struct ownership {
  bool chown;
  uid_t uid;
  gid_t gid;
  const char *chmod; // "" leaves the mode
};
// Reads "chown" and "chmod" words; names are looked up in the tree.
void next_ownership(int root, struct ownership *to);
mode_t apply_chmod(const char *chmod, mode_t mode);

// copy-data.c: makes the content of `to`, which is empty, that of `from`. Whether they share its blocks.
bool copy_data(int from, int to, const struct stat *st, const char *path);

// copy-link.c: files that a layer shares with an input's tree in place of copying them.
// The roots of `upper` and of the input's directory in one mount, in which files may get further names; false: not possible.
bool mount_sharing(const char *upper, const char *input, int *upper_root, int *input_root);
// Gives the input's file a further name. False: it has to be copied.
bool share_file(int from_parent, const char *from, int parent, const char *name, const struct stat *st);

// copy-tree.c
void copy_source(int destination, int root, const struct source *source, const char *to, const struct ownership *ownership);
// The extended attributes that are wanted; those that the other file system does not have are left out, but for capabilities.
void copy_xattrs(int from, int to, bool (*is_wanted)(const char *name), const char *path);

// copy-make.c
// Makes the directories of a resolved path that are missing; the descriptor of the last is the caller's.
int make_directories(int root, const char *resolved, mode_t mode, const struct ownership *ownership);
void make_directory(int root, const char *path, mode_t mode, const struct ownership *ownership);
void make_file(int root, const char *path, mode_t mode, const struct ownership *ownership, const char *content, uint64_t size);
// Takes away what is called `name`, unless it is a directory.
void clear_for_file(int parent, const char *name, const char *path);

// copy-digest.c: prints the digest of what the sources in the request select.
void digest_sources(void);

// copy-list.c
struct child {
  ino_t ino;
  char *name;
};
// Names in a directory in the order of their inodes, which is that on the disk; the caller frees each and the list.
struct child *read_children(int directory, size_t *count, const char *what);
// A directory, or what lies `below` it without any link on the way; -1 and errno.
int open_place(const char *base, const char *below);
// Like fail(EXIT_SYSTEM), but a name that is too long or a loop is the request's fault, and a full disk has a status of its own.
_Noreturn void fail_path(const char *what, const char *path);

// copy-clone.c: whole trees as they are.
void clone_tree(void);
void fill_directory(void);
// Owner, mode, extended attributes and times, from open file to open file.
void put_attributes(int from, int to, const struct stat *st, const char *what);

// copy-exchange.c
void exchange(void);

// copy-size.c
void print_size(void);

// copy-volume.c: mounts of volumes, in the namespace of who asks.
void mount_volume(void);
void unmount_volume(void);

// copy-quota.c: limits of directories.
void quota(void);

#endif
