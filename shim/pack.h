// gantry-pack: writes tars of layers to stdout. This header is the contract between its files: pack.c (program), pack-out.c
// (output), pack-recipe.c (a layer's own tar again), pack-tree.c (a directory tree), pack-header.c (tar headers), pack-xattrs.c,
// pack-seal.c (a tree that becomes a layer), pack-made.c (what is the engine's own in a root).
#ifndef GANTRY_PACK_H
#define GANTRY_PACK_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "layer.h"

enum {
  // Of one member's extended header: gantry-unpack takes no more.
  PAX_LIMIT = 1 << 20,
  XATTR_SIZE = 1 << 16,
};

// pack-out.c: stdout, buffered. A reader that hung up ends the program quietly.
extern uint64_t out_total;
struct sink {
  void (*bytes)(const void *bytes, size_t size);
  void (*block)(const unsigned char block[BLOCK]);
  uint64_t (*file)(int fd, uint64_t offset, uint64_t length, const char *path);
};
// In place of stdout, from now on.
void set_sink(const struct sink *instead);
void emit(const void *bytes, size_t size);
// A header.
void emit_block(const void *block);
void emit_zeros(uint64_t size);
// Bytes of a file from `offset` on, fewer if it ends before.
uint64_t emit_file(int fd, uint64_t offset, uint64_t length, const char *path);
void flush_out(void);

// pack-recipe.c: the tar of the layer in `directory`.
void pack_recipe(const char *directory);

// pack-xattrs.c
// A descriptor of the inode or, with -1, its name in a directory: links and nodes are not opened.
struct target {
  int fd;
  int parent;
  const char *name;
};
ssize_t get_xattr(const struct target *target, const char *name, void *value, size_t size);
// Writes the records of the member's attributes, sorted, to `to`; their size. `check` (or NULL) sees every name.
size_t read_xattrs(const struct target *target, const char *path, void (*check)(const char *name), unsigned char to[PAX_LIMIT]);

// pack-tree.c
enum tree_kind {
  TREE_LAYER, // an overlay's upper directory as a layer: with whiteouts
  TREE_WHOLE, // everything that can be seen
};
void pack_tree(int root, enum tree_kind kind);

// pack-header.c
struct member {
  const char *path; // without a slash at either end
  const char *link; // of symlinks and hard links
  char type;        // as in the header
  struct stat st;
  uint64_t size;    // of the data that follows
  const unsigned char *records; // of the extended header, those for attributes
  size_t records_size;
};
void emit_header(const struct member *member);
// A record "LENGTH KEY=VALUE\n" at `to`; its length.
size_t pax_record(unsigned char *to, size_t room, const char *path, const char *key, const void *value, size_t size);

// pack-seal.c: `directory`/fs becomes a layer; writes its recipe. `clamp`: seconds that no time may be above, or "-".
void seal_layer(const char *directory, const char *clamp);
bool is_sealing(void);
// A member whose header was emitted.
void seal_member(const struct member *member);
// Bounds the time that a member will have.
void seal_time(struct stat *st);
// Takes out of the tree what the tar lacks.
void seal_drop(int parent, const char *name, const char *path);
// A whiteout in another form becomes a device node.
void seal_whiteout(int parent, const char *name, const char *path);
// What was packed gets the attributes and the time that a layer's has. `fd` is -1 for what cannot be opened.
void seal_inode(int fd, int parent, const char *name, const struct stat *st, bool opaque, const char *path);

// pack-made.c: whether the member of a writable layer is the engine's own, and as the engine made it.
void set_lower(char *const *directories, size_t count);
bool is_made(int parent, const char *name, const char *path, const struct stat *st);
// Whether a writable layer as a whole changes nothing.
bool is_empty_root(int root, const struct stat *st);

#endif
