// What gantry-unpack, gantry-pack and gantry-copy share: how they fail, and the recipe, from which a layer's tar can be put together
// again (docs/layer-recipe.md). Files: layer-fail.c, layer-recipe.c (reading), layer-record.c (writing),
// layer-sha256.c, layer-mount.c (how trees are made visible), layer-links.c (files with several names), layer-path.c (confinement).
#ifndef GANTRY_LAYER_H
#define GANTRY_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exit statuses, told apart by the daemon. With EXIT_HANGUP nothing is said: nobody listens any more.
enum { EXIT_BAD_ARCHIVE = 1, EXIT_LIMIT = 2, EXIT_SYSTEM = 3, EXIT_HANGUP = 4, EXIT_READ_ONLY = 6, EXIT_FULL = 7 };

enum {
  BLOCK = 512,
  // Linux' own limits: a longer path could be made by a walk, but never be opened by a program in the container.
  PATH_LIMIT = 4096,
};

// layer-fail.c
// What is to be taken back before the program ends; it may call nothing that fails.
extern void (*before_failing)(void);
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A failed system call on `path`; tells an archive's fault (a name too long) from the system's.
_Noreturn void fail_errno(const char *what, const char *path);

static const char recipe_magic[] = "gantry-recipe 1\n";

enum {
  RECIPE_LITERAL = 'L', // length, bytes
  RECIPE_ZEROS = 'Z',   // length
  RECIPE_HEADER = 'H',  // a block as its difference to the last one: pairs of (bytes that are the same, bytes that follow)
  RECIPE_FILE = 'F',    // inode (8 bytes), size, length of path, path in fs/: where the next data is
  RECIPE_ASIDE = 'A',   // the same, but the file is aside/<inode in hexadecimal digits>
  RECIPE_DATA = 'D',    // offset, length: bytes of the file
  RECIPE_END = 'E',     // length of the tar (8 bytes)
};

// "aside/" and a name from an inode number.
enum { ASIDE_NAME = 17 };
void aside_name(uint64_t inode, char to[ASIDE_NAME]);

// A recipe being read, through a buffer of its own.
struct recipe {
  int fd;
  const char *what; // for messages
  uint64_t position; // of the next byte in the file
  size_t start, end;
  unsigned char buffer[1 << 16];
  unsigned char block[BLOCK]; // the last header
};

struct recipe_record {
  int kind;
  uint64_t at;     // position of the record in the file
  uint64_t length; // LITERAL, ZEROS, DATA; of the whole tar with END
  uint64_t offset; // DATA
  uint64_t inode, size; // FILE, ASIDE
  char path[PATH_LIMIT];
};

// Checks the magic. Every failure of these is of the recipe and ends the program with EXIT_BAD_ARCHIVE.
void open_recipe(struct recipe *recipe, int fd, const char *what);
// The next record. The bytes of a LITERAL follow (recipe_some); those of a HEADER are in recipe->block.
void next_record(struct recipe *recipe, struct recipe_record *record);
// Points at 1 … `max` bytes, which are thereby consumed.
size_t recipe_some(struct recipe *recipe, const unsigned char **from, uint64_t max);

// layer-record.c: a recipe being written, one in a program. Without begin_record these do nothing.
// Takes over `fd`, a new file opened for reading and writing.
void begin_record(int fd);
bool is_recording(void);
void record_bytes(const unsigned char *from, size_t size);
void record_header(const unsigned char block[BLOCK]);
// The file whose content comes next: `path` in fs/.
void record_content(uint64_t inode, uint64_t size, const char *path);
void record_data(uint64_t offset, uint64_t length);
// Writes the end; the descriptor is the caller's again.
int end_record(void);

// layer-mount.c: the root of a tree, mounted without devices where nobody else sees it; read-only unless `writable`.
int mount_tree(const char *directory, bool writable);
// The merged view of `count` directories, the top-most first. `upper` is NULL for a view that is only read.
int mount_overlay(char *const *directories, size_t count, const char *upper, const char *work);

// The same with an upper directory in memory, on `place`, in the namespace that was entered.
int mount_scratch_overlay(char *const *directories, size_t count, const char *place);
// A mount namespace of this program's own.
void enter_namespace(void);
// Puts a mounted tree on `place`, in the namespace that was entered, so that others can be mounted in it.
void attach_tree(int root, const char *place);
void make_read_only(int root);

// layer-quota.c: from now on this process cannot write beyond a quota, as root otherwise can on ext4. After limits of its own were raised.
void respect_quotas(void);

// layer-links.c
struct stat;
// The first path of a file with several names; NULL: this is the first, and remembered.
const char *first_name(const struct stat *st, const char *path);
void forget_names(void);

// layer-path.c
// Trees of which mounts are a part (a container's) rather than something foreign.
extern bool crosses_mounts;
// `path` in the tree without symbolic links, "" for the root; what is missing is taken as it stands. Without `follow` the last
// component may be a link.
void resolve_path(int root, const char *path, bool follow, char to[PATH_LIMIT]);
// Of a path that resolve_path gave; -1 and errno.
int open_resolved(int root, const char *path, int flags);
int stat_resolved(int root, const char *path, struct stat *st);
// Splits a resolved path: *name is the last component ("." for the root); the directory's descriptor is the caller's.
int open_parent_of(int root, const char *path, const char **name);
// Appends "/name".
void append_name(char path[PATH_LIMIT], const char *name);

// layer-sha256.c
struct sha256 {
  uint32_t state[8];
  uint64_t length; // bytes so far
  unsigned char block[64];
};
void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t size);
void sha256_end(struct sha256 *hash, char hex[65]);

#endif
