// gantry-archive: files of a container's or a volume's tree in and out as tars. This header is the contract between its files:
// archive.c (program), archive-root.c (which tree), archive-mounts.c (a stopped container's mounts), archive-stat.c,
// archive-pack.c, archive-extract.c, archive-changes.c. Tars are written by pack-*.c and read and unpacked by unpack-*.c.
// Others may change the tree at any moment: whatever was looked at is held by a descriptor, and no path leads out of it.
#ifndef GANTRY_ARCHIVE_H
#define GANTRY_ARCHIVE_H

#include "layer.h"

// Besides those of layer.h. With EXIT_GONE the process whose tree was asked for has ended.
enum { EXIT_NOT_FOUND = 5, EXIT_GONE = 8, EXIT_NOT_A_DIRECTORY = 9 };

// archive.c: the words of the command line, one by one.
bool has_word(void);
const char *next_word(void);
uint64_t next_number(void);

// archive-root.c: opens the tree that the next words name; its root.
int open_tree_root(void);
// Opens a path in the tree as the kernel does, confined to it; -1 and errno.
int open_in(int root, const char *path, int flags);
// The file at `path` by O_PATH; a link at the end is not followed, unless there is a slash behind it. Ends the program when there is none.
int open_asked(int root, const char *path, struct stat *st);
// Directories of file systems that the kernel makes up, and a running container's /dev, which are shown empty.
bool is_made_up(int directory, const struct stat *st);

// archive-mounts.c: the tree of a stopped container with its mounts, which the next words name; its root.
int mount_stopped(void);

// archive-stat.c: size, mode, time in nanoseconds, name, target of a link, each ended by NUL.
void print_stat(int root, const char *path, const struct stat *st);
// Base name of a path that was asked for, as Go's filepath.Base; "." and "/" are names too.
void base_name(const char *path, char to[PATH_LIMIT]);

// archive-pack.c: the file as a tar on stdout. Closes `fd`.
void pack_asked(const char *path, int fd, const struct stat *st);

// archive-extract.c: the tar on stdin into the directory `path`.
void extract_into(int root, const char *path);

// archive-changes.c: what an upper directory changes of the lower ones, which the next words name.
void print_changes(void);

#endif
