// Makes the inodes. A later member replaces an earlier one of its name (a directory over a directory only changes its
// metadata), as dockerd does. OCI whiteouts become overlayfs': `.wh.x` a character device 0:0 called x, `.wh..wh..opq` the
// attribute trusted.overlay.opaque; both speak of lower layers only, so what this layer itself has stays.
// Sources: OCI image-spec 1.1, layer.md, "Whiteouts"; kernel, Documentation/filesystems/overlayfs.rst.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unpack.h"

static const char whiteout_prefix[] = ".wh.";
static const char whiteout_meta_prefix[] = ".wh..wh.";
static const char opaque_marker[] = ".wh..wh..opq";

uint64_t content_bytes;
enum whiteouts whiteouts;
bool keeps_types;
const char *put_in_front = "";
static uint64_t promised_bytes;

static bool has_prefix(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static void count_bytes(uint64_t size, const struct limits *limits) {
  if (size > limits->bytes - promised_bytes)
    fail(EXIT_LIMIT, "the layer's files are larger than the %llu bytes allowed", (unsigned long long)limits->bytes);
  promised_bytes += size;
}

static struct timespec time_of(const struct entry *entry) {
  return (struct timespec){.tv_sec = (time_t)entry->mtime_s, .tv_nsec = (long)entry->mtime_ns};
}

// Takes away what is called `name`; true when it was a whiteout, so that a directory in its place has to be opaque.
static bool clear_way(int parent, const char *name, const char *path) {
  bool hides = whiteouts != WHITEOUTS_ORDINARY && is_whiteout(parent, name);
  remove_tree(parent, name, path);
  return hides;
}

// Text as dockerd's, which calls the directory that is extracted into what the member is not.
static void keep_type(int parent, const char *name, const struct entry *entry, const char *path) {
  struct stat st;
  if (!keeps_types || *name == 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return;
  bool is_directory = S_ISDIR(st.st_mode), becomes_directory = entry->type == '5';
  if (is_directory == becomes_directory) return;
  size_t front = strlen(put_in_front);
  fail(EXIT_SYSTEM, "cannot overwrite %sdirectory \"%s\" with %sdirectory \"/%.*s\"", is_directory ? "" : "non-", path + front,
       becomes_directory ? "" : "non-", (int)(front == 0 ? 0 : front - 1), put_in_front);
}

static void write_region(int fd, uint64_t offset, uint64_t length, const char *path) {
  if (length > 0) record_data(offset, length);
  while (length > 0) {
    const unsigned char *from;
    size_t n = read_some(&from, length);
    for (size_t done = 0; done < n;) {
      ssize_t written = pwrite(fd, from + done, n - done, (off_t)(offset + done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_errno("write", path);
      done += (size_t)written;
    }
    offset += n;
    length -= n;
  }
}

// Attributes that the file system does not have are left out, except capabilities: a program would lose its privilege.
static void check_xattr(int result, const struct xattr *xattr, const char *path) {
  if (result == 0 || (errno == EOPNOTSUPP && strcmp(xattr->name, "security.capability") != 0)) return;
  if (errno == EINVAL) fail(EXIT_BAD_ARCHIVE, "%s: invalid value of %s", path, xattr->name);
  fail_errno("set an extended attribute of", path);
}

static void set_xattrs(int fd, const struct entry *entry, const char *path) {
  for (size_t i = 0; i < entry->xattr_count; i++) {
    const struct xattr *xattr = &entry->xattrs[i];
    check_xattr(fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0), xattr, path);
  }
}

// A file without all of its content is none: whoever looks into a container must not take it for one.
static int unfinished_parent;
static const char *unfinished_name;

static void remove_unfinished(void) {
  before_failing = NULL;
  unlinkat(unfinished_parent, unfinished_name, 0);
}

// A new file of the program's own user has its mode at once. Special bits come when the content is whole.
static mode_t first_mode(const struct entry *entry) {
  return entry->uid == geteuid() && entry->gid == getegid() && (entry->mode & ~(mode_t)0777) == 0 ? entry->mode : 0600;
}

// Only what is not so already: each of the two costs as much as making the file. In this order: chown takes setuid bits and
// capabilities away.
static void set_owner_and_mode(int fd, const struct entry *entry, const char *path) {
  struct stat st;
  if (fstat(fd, &st) < 0) fail_errno("stat", path);
  bool is_owned = st.st_uid == entry->uid && st.st_gid == entry->gid;
  if (!is_owned && fchown(fd, entry->uid, entry->gid) < 0) fail_errno("chown", path);
  if ((!is_owned || (st.st_mode & 07777) != entry->mode) && fchmod(fd, entry->mode) < 0) fail_errno("chmod", path);
}

static void make_file(int parent, const char *name, const struct entry *entry, const struct limits *limits, const char *path) {
  uint64_t size = entry->sparse ? entry->real_size : entry->size;
  count_bytes(size, limits);
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(parent, name, flags, first_mode(entry));
  if (fd < 0 && errno == EEXIST) {
    clear_way(parent, name, path);
    fd = openat(parent, name, flags, first_mode(entry));
  }
  if (fd < 0) fail_errno("create", path);
  unfinished_parent = parent, unfinished_name = name;
  before_failing = remove_unfinished;
  if (entry->size > 0) record_file(fd, parent, name, size);
  if (entry->sparse) {
    for (size_t i = 0; i < entry->region_count; i++) write_region(fd, entry->regions[i].offset, entry->regions[i].length, path);
    if (ftruncate(fd, (off_t)entry->real_size) < 0) fail_errno("set the size of", path);
  } else {
    write_region(fd, 0, entry->size, path);
  }
  content_bytes += size;
  set_owner_and_mode(fd, entry, path);
  set_xattrs(fd, entry, path);
  struct timespec times[2] = {time_of(entry), time_of(entry)};
  if (futimens(fd, times) < 0) fail_errno("set the times of", path);
  if (close(fd) < 0) fail_errno("close", path);
  before_failing = NULL;
  skip_padding(entry->size);
}

static void make_directory(int parent, const char *name, const struct entry *entry, const char *path) {
  bool hides = false;
  if (*name != 0 && mkdirat(parent, name, 0700) < 0) {
    struct stat st;
    if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("make the directory", path);
    if (!S_ISDIR(st.st_mode)) {
      hides = clear_way(parent, name, path);
      if (mkdirat(parent, name, 0700) < 0) fail_errno("make the directory", path);
    }
  }
  int fd = openat(parent, *name == 0 ? "." : name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_errno("open the directory", path);
  set_owner_and_mode(fd, entry, path);
  set_xattrs(fd, entry, path);
  if (hides) set_opaque(parent, name, path);
  close(fd);
  remember_times(path, entry);
}

// Of what has no descriptor: links and device nodes.
static void set_metadata(int parent, const char *name, const struct entry *entry, const char *path) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("stat", path);
  bool is_owned = st.st_uid == entry->uid && st.st_gid == entry->gid;
  if (!is_owned && fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("chown", path);
  struct timespec times[2] = {time_of(entry), time_of(entry)};
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("set the times of", path);
}

static void make_symlink(int parent, const char *name, const struct entry *entry, const char *path) {
  size_t length = strlen(entry->link);
  if (length == 0) fail(EXIT_BAD_ARCHIVE, "%s: a symbolic link to nothing", path);
  if (length >= PATH_LIMIT) fail(EXIT_LIMIT, "%s: a symbolic link's target is longer than %d bytes", path, PATH_LIMIT - 1);
  if (symlinkat(entry->link, parent, name) < 0) {
    if (errno != EEXIST) fail_errno("make the symbolic link", path);
    clear_way(parent, name, path);
    if (symlinkat(entry->link, parent, name) < 0) fail_errno("make the symbolic link", path);
  }
  content_bytes += length;
  set_metadata(parent, name, entry, path);
}

static void make_node(int parent, const char *name, const struct entry *entry, const char *path) {
  mode_t type = entry->type == '3' ? S_IFCHR : entry->type == '4' ? S_IFBLK : S_IFIFO;
  dev_t device = entry->type == '6' ? 0 : makedev(entry->dev_major, entry->dev_minor);
  // A whiteout in another form.
  if (whiteouts == WHITEOUTS_LEFT_OUT && type == S_IFCHR && device == 0) return;
  // With its mode at once: a name in a tree that others use may be another's a moment later.
  if (mknodat(parent, name, type | entry->mode, device) < 0) {
    if (errno != EEXIST) fail_errno("make the device node", path);
    clear_way(parent, name, path);
    if (mknodat(parent, name, type | entry->mode, device) < 0) fail_errno("make the device node", path);
  }
  set_metadata(parent, name, entry, path);
}

// The target is another member of this layer, found as if the layer were the root; a link to a symlink links the symlink.
static void make_hard_link(const char *path, const struct entry *entry, const struct limits *limits) {
  char target[PATH_LIMIT];
  const char *name;
  clean_path(entry->link, "link target", limits->depth, target);
  int from = open_parent(target, &name, false);
  struct stat st, old;
  bool hidden = whiteouts != WHITEOUTS_ORDINARY && has_prefix(name, whiteout_prefix);
  if (from < 0 || *name == 0 || hidden || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    fail(EXIT_BAD_ARCHIVE, "%s: a hard link to %s, which is not %s", path, target, whiteouts == WHITEOUTS_ORDINARY ? "there" : "in the layer");
  if (S_ISDIR(st.st_mode)) fail(EXIT_BAD_ARCHIVE, "%s: a hard link to the directory %s", path, target);
  char kept[256];
  strcpy(kept, name); // clean_path let no component be longer
  int held = dup(from);
  if (held < 0) fail_errno("open the directory of", target);

  int parent = open_parent(path, &name, true);
  keep_type(parent, name, entry, path);
  if (fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) == 0) {
    // Two names of one file, or a member linked to itself.
    if (old.st_dev == st.st_dev && old.st_ino == st.st_ino) {
      close(held);
      return;
    }
    // Not a tree: the target may lie in it.
    if (S_ISDIR(old.st_mode) && unlinkat(parent, name, AT_REMOVEDIR) < 0) fail(EXIT_BAD_ARCHIVE, "%s: a hard link in place of a directory", path);
    if (!S_ISDIR(old.st_mode)) remove_tree(parent, name, path);
    forget_parents();
  }
  if (linkat(held, kept, parent, name, 0) < 0) fail_errno("make the hard link", path);
  close(held);
}

static void make_whiteout(int parent, const char *name, const char *path) {
  if (strcmp(name, opaque_marker) == 0) {
    set_opaque(parent, ".", path);
    return;
  }
  // What else AUFS kept under this prefix was its own book-keeping.
  if (has_prefix(name, whiteout_meta_prefix)) return;
  const char *hidden = name + sizeof whiteout_prefix - 1;
  if (*hidden == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0) fail(EXIT_BAD_ARCHIVE, "%s: a whiteout of nothing", path);
  if (mknodat(parent, hidden, S_IFCHR, makedev(0, 0)) == 0) return;
  if (errno != EEXIST) fail_errno("make the whiteout", path);
  struct stat st;
  if (fstatat(parent, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_errno("stat", path);
  if (S_ISDIR(st.st_mode)) set_opaque(parent, hidden, path);
}

static void refuse_whiteout_directories(const char *path) {
  for (const char *at = path; (at = strchr(at, '/')) != NULL; at++) {
    const char *component = at;
    while (component > path && component[-1] != '/') component--;
    if (has_prefix(component, whiteout_prefix)) fail(EXIT_BAD_ARCHIVE, "%s: a member in a directory named as a whiteout", path);
  }
}

void make_entry(const struct entry *entry, const struct limits *limits) {
  char path[PATH_LIMIT];
  clean_path(entry->path, "path", limits->depth, path);
  bool ordinary = whiteouts == WHITEOUTS_ORDINARY;
  if (!ordinary) refuse_whiteout_directories(path);
  const char *name;
  if (*path == 0 && entry->type != '5') fail(EXIT_BAD_ARCHIVE, "a member that would replace the root directory");
  if (entry->type == '1' && (ordinary || !has_prefix(strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1, whiteout_prefix))) {
    make_hard_link(path, entry, limits);
    return;
  }
  int parent = open_parent(path, &name, true);
  if (!ordinary && has_prefix(name, whiteout_prefix)) {
    if (whiteouts == WHITEOUTS_MADE) make_whiteout(parent, name, path);
    skip(entry->size);
    skip_padding(entry->size);
    return;
  }
  keep_type(parent, name, entry, path);
  switch (entry->type) {
    case '0': make_file(parent, name, entry, limits, path); break;
    case '2': make_symlink(parent, name, entry, path); break;
    case '5': make_directory(parent, name, entry, path); break;
    default: make_node(parent, name, entry, path);
  }
}
