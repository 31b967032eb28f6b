// gantry-unpack: extracts one layer's tar stream from stdin into one directory, and nowhere else. This header is the
// contract between its files: unpack.c (program), unpack-read.c (input), unpack-header.c and unpack-pax.c (tar formats),
// unpack-sparse.c (sparse maps), unpack-path.c (confinement), unpack-make.c (inodes), unpack-times.c (directory times),
// unpack-recipe.c (how the tar can be put together again), unpack-clone.c (a second copy of an unpacked layer),
// unpack-remove.c (the end of one).
// Every failure ends the program: the caller throws the whole directory away, so nothing is ever half accepted.
#ifndef GANTRY_UNPACK_H
#define GANTRY_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "layer.h"

enum {
  // Of one extended header; GNU tar and Go stop at the same size.
  PAX_LIMIT = 1 << 20,
  REGION_LIMIT = 65536,
  XATTR_LIMIT = 64,
};

struct limits {
  uint64_t entries;
  uint64_t bytes; // of file content, holes included
  size_t depth;   // components of a path
};

// One stretch of data in a sparse file.
struct region {
  uint64_t offset, length;
};

struct xattr {
  const char *name;
  const char *value;
  size_t size;
};

// One member of the archive, with extended headers applied. Strings live until the next read_entry.
struct entry {
  char type; // '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' directory, '6' FIFO
  const char *path;
  const char *link;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  int64_t mtime_s;
  uint32_t mtime_ns;
  uint64_t size; // bytes that follow in the archive
  unsigned int dev_major, dev_minor;
  bool sparse;
  uint64_t real_size; // of a sparse file
  struct region *regions;
  size_t region_count;
  struct xattr xattrs[XATTR_LIMIT];
  size_t xattr_count;
};

// What extended headers say about the next member; a pointer is NULL or `has_` is false where they are silent.
struct overrides {
  const char *path, *link;
  bool has_size, has_uid, has_gid, has_mtime;
  uint64_t size, uid, gid;
  int64_t mtime_s;
  uint32_t mtime_ns;
  const char *sparse_name;
  unsigned int sparse_major, sparse_minor;
  bool has_sparse_version, has_real_size;
  uint64_t real_size;
  const char *sparse_map; // format 0.1
  struct xattr xattrs[XATTR_LIMIT];
  size_t xattr_count;
};

// unpack-read.c: the input, buffered. What is read goes into the recipe as it is, but for what read_some gives.
// Reads exactly `size` bytes; a shorter input is a truncated archive.
void read_exact(void *to, size_t size);
// Reads a header's block; false at the end of the input (on a block boundary).
bool read_block(unsigned char block[BLOCK]);
// Points at 1 … `max` bytes of the input, which are thereby consumed.
size_t read_some(const unsigned char **from, uint64_t max);
void skip(uint64_t size);
// Skips the padding after `size` bytes of data.
void skip_padding(uint64_t size);
// Reads to the end of the input, at most `max` bytes.
void drain(uint64_t max);

// unpack-header.c: the next member; false at the end of the archive.
bool read_entry(struct entry *entry);
uint64_t parse_number(const unsigned char *field, size_t width, const char *what);

// unpack-pax.c: applies one extended header of `size` bytes (NUL-terminated by the caller, kept by the caller).
void parse_pax(char *text, size_t size, struct overrides *to);
uint64_t parse_decimal(const char *text, const char *what);

// unpack-sparse.c: the maps of GNU's four sparse formats.
void read_old_sparse_map(const unsigned char header[BLOCK], struct entry *entry);
void parse_sparse_map(const char *map, struct entry *entry);
void read_sparse_map(struct entry *entry); // format 1.0: in front of the data, and taken off entry->size
void check_sparse_map(const struct entry *entry);

// unpack-path.c: all walking is by openat2(RESOLVE_IN_ROOT) from `root_fd`.
extern int root_fd;
// Cleans an archive's name to "a/b/c" without ".", empty or ".." components; "" is the root itself.
void clean_path(const char *name, const char *what, size_t depth_limit, char to[PATH_LIMIT]);
// Opens the directory that holds the last component of `path`; *name is that component. What is missing is made, or without
// `make` answered with -1.
// The descriptor stays the cache's own.
int open_parent(const char *path, const char **name, bool make);
// Forgets cached directories; to be called whenever a directory or symlink was replaced.
void forget_parents(void);
// Removes whatever is called `name`, trees included; never follows a link. Forgets cached directories where it must.
void remove_tree(int parent, const char *name, const char *path);
int open_in_root(const char *path, int flags);
// As open_in_root, without following symbolic links.
int open_real(const char *path, int flags);
// Where `name` in the directory that open_parent gave last really is, symbolic links resolved; false: too long a path.
bool real_path(int parent, const char *name, char to[PATH_LIMIT]);
bool is_whiteout(int parent, const char *name);
void set_opaque(int parent, const char *name, const char *path);

// What members that are named as whiteouts mean. What is extracted for a build's ADD is no layer, and lacks them; for cp their
// names mean nothing.
extern enum whiteouts { WHITEOUTS_MADE, WHITEOUTS_LEFT_OUT, WHITEOUTS_ORDINARY } whiteouts;
// An existing directory is not replaced by something else, nor the other way round.
extern bool keeps_types;
// The part of every path, with a slash at its end, that was put in front of the member's own; "" for none.
extern const char *put_in_front;
// unpack-make.c: makes one member's inode; returns after its data was consumed.
void make_entry(const struct entry *entry, const struct limits *limits);
// Bytes in regular files and symbolic links, replaced ones not counted: an image's size as Docker shows it.
extern uint64_t content_bytes;

// unpack-recipe.c: without create_recipe these do nothing.
// Creates `layer`/recipe, and later `layer`/aside if it is needed; before the root is changed.
void create_recipe(const char *layer);
// The file whose content comes next, by its descriptor and its name in the directory that open_parent gave last.
void record_file(int fd, int parent, const char *name, uint64_t size);
// Moves a file that the recipe may speak of out of the layer; false: there is no need.
bool keep_aside(int parent, const char *name, const struct stat *st);
// Names that a file has, those in aside/ not counted.
nlink_t names_in_layer(const struct stat *st);
// Looks up every file that the recipe speaks of, and closes it.
void finish_recipe(void);

// unpack-clone.c: copies the tree below `from`, which it closes, into the directory `to`; there may be empty directories.
void clone_directory(int from, int to);

// unpack-remove.c: removes whole directories, and says what stands in the way.
void remove_directories(char *const paths[], size_t count);

// unpack-times.c: directory times are set last, because making children changes them.
void open_times(const char *directory);
// The same in memory; so many directories that it would be more than a few MiB are refused.
void open_times_in_memory(void);
void remember_times(const char *path, const struct entry *entry);
void apply_times(void);

#endif
