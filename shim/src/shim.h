// What the files of the shim share: the shim, its container's processes, their streams, the clients.
// One thread, one epoll loop; every descriptor above 2 is close-on-exec. Protocol: docs/shim-protocol.md.
#ifndef GANTRY_SHIM_H
#define GANTRY_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto.h"

enum {
  PROTOCOL_VERSION = 1,
  PATH_SIZE = 4096,
  REASON_SIZE = 512,
  RUNTIME_ARGS_MAX = 32,
  CGROUPS_MAX = 32,
  LOWER_MAX = 501, // layers of a root, with the stubs of a step
  VIEWS_MAX = 128,
  CONNECTIONS_MAX = 256,
  EXECS_RUNNING_MAX = 1024,
  EXECS_ENDED_MAX = 128,
  LINE_MAX_BYTES = 16384, // dockerd's: longer lines are split
};

// ---- loop.c: epoll, timers ----

struct source {
  int fd;
  uint32_t events; // what epoll was told; 0 when not registered
  void (*ready)(struct source *, uint32_t events);
};

struct timer {
  int64_t at_ms; // monotonic
  void (*fire)(struct timer *);
  struct timer *next;
  bool armed;
};

struct loop {
  int epoll;
  struct timer *timers;
};

int64_t monotonic_ms(void);
bool loop_open(struct loop *);
/** Registers, changes or (events 0) removes. */
void loop_watch(struct loop *, struct source *, uint32_t events);
void loop_arm(struct loop *, struct timer *, int64_t after_ms);
void loop_disarm(struct loop *, struct timer *);
/** Handles one event or the timers that are due; calls `idle` when nothing happened for a while. */
void loop_turn(struct loop *, void (*idle)(void *), void *context);

// ---- options.c ----

struct options {
  struct fields request;
  const char *id, *run_dir, *exit_file;
  const char *upper, *work;
  bool readonly;
  const char *stubs; // an empty directory for the layer of places to mount upon: this is a build's step; or NULL
  const char *cwd;   // of a step: made when it is missing; or NULL
  const char *network; // none, host, join or own
  const char *runtime, *state_root;
  const char *state; // the runtime's directory of this container, when removing it is all that deleting does; or NULL
  bool seals; // executes a sealed copy of the runtime
  bool hides_unified;
  bool tty, stdin_open, stdin_once;
  int64_t rows, columns;
  const char *log_path;
  int64_t log_max_bytes, log_max_files;
};

/** Checks and points into a spawn request. False: `reason` says what is wrong. */
bool options_parse(struct options *, const struct fields *, char reason[REASON_SIZE]);

// ---- sealed.c ----

/** The copy that was made last, and of what; `fd` −1: none. */
struct sealed {
  int fd;
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec changed;
};

/** A descriptor of the program's sealed copy, which stays the callee's; −1: there is none, execute the file. */
int sealed_program(struct sealed *, const char *path);

// ---- log.c ----

struct log {
  int fd; // −1: none
  const char *path;
  int64_t max_bytes, max_files;
  int64_t limit; // the size that the next rotation waits for
  int64_t size;
  int64_t generation;
  uint64_t dropped; // batches that did not fit on the disk
  uint64_t inode;
  char *out;
  size_t out_size;
};

/** The incomplete last line of a stream. */
struct tail {
  char *bytes;
  size_t size;
};

bool log_open(struct log *, const char *path, int64_t max_bytes, int64_t max_files);
/** Writes the complete lines of `tail` + `data`; the rest becomes the new tail. @param stream 1 stdout, 2 stderr */
void log_write(struct log *, struct tail *, int stream, const char *data, size_t size);
/** Writes an incomplete last line, at the end of a stream. */
void log_finish(struct log *, struct tail *, int stream);
void log_idle(struct log *);
void log_close(struct log *);

// ---- chunk.c: buffers that exist only while bytes flow ----

enum { CHUNK_BYTES = 128 * 1024 };

/** Bytes read once, framed once, waiting for the clients that are still behind. */
struct chunk {
  uint32_t size;
  uint32_t holders;
  struct chunk *next;
  uint8_t header[8];
  char data[CHUNK_BYTES];
};

struct chunk *chunk_take(void);
void chunk_give(struct chunk *);
void chunk_release_idle(void);

// ---- stdio.c ----

struct shim;
struct process;
struct client;

struct stream {
  struct source source;
  struct process *process;
  int number;   // 1 stdout or tty, 2 stderr
  int child_fd; // the writing end until the process runs
  bool open;
  bool grown;
  struct chunk *chunk; // read, and not yet taken by every client
  struct tail tail;
};

enum phase { PREPARED, STARTING, RUNNING, ENDED };

struct process {
  struct shim *shim;
  struct process *next;
  char id[65]; // "init" or the exec's
  enum phase phase;
  bool tty, stdin_open, stdin_once, logged;
  unsigned short rows, columns;
  pid_t pid;
  uint64_t start_time;
  bool reaped;
  int wait_status;
  bool drained;
  struct timer drain;
  struct stream out[2];
  struct source input; // our end of stdin; the pty's master is a stream
  int input_child;
  char *input_bytes;
  size_t input_size, input_at;
  bool input_closing;
  int master, slave;
  struct source console;
  struct client *clients;
  // the runtime that starts it
  pid_t runtime_pid;
  int errors; // where the runtime's own stderr goes with a tty
  char *process_file; // of an exec until it starts
  uint64_t asked_tag;
  struct connection *asked_by;
};

bool process_open(struct process *, char reason[REASON_SIZE]);
/** Closes the ends that the runtime has inherited. */
void process_started(struct process *);
void process_reads(struct process *, bool enable);
/** The process has ended: reads what is left, tells process_drained. */
void process_ended(struct process *);
void process_drained(struct process *);
void process_close(struct process *);
void process_resize(struct process *, unsigned short rows, unsigned short columns);
void process_close_input(struct process *);
bool process_input_ready(const struct process *);
/** Takes bytes for stdin; call only when process_input_ready. */
void process_input(struct process *, const char *bytes, size_t size);
/** A stream's chunk was taken by everybody. */
void stream_free(struct stream *);
/** Discards what a failed start has written; returns up to `size` bytes of it. */
size_t process_discard(struct process *, char *text, size_t size);
bool process_draining(const struct process *);

// ---- console.c ----

bool console_listen(struct process *, char reason[REASON_SIZE]);
void console_close(struct process *);
/** What the runtime connects to. */
void console_path(const struct process *, char out[128]);

// ---- attach.c ----

struct client {
  struct source source;
  struct process *process;
  struct client *next;
  bool wants_stdin, input_ended;
  bool wants[2];
  size_t at[2]; // bytes of the stream's chunk (with its header) already sent
  bool behind[2];
  int current; // stream in the middle of a frame, or −1
  bool closing;
};

/** Turns a connection's descriptor into an attached client; takes the descriptor. */
struct client *client_attach(struct process *, int fd, bool in, bool out, bool err);
/** Sends the bytes of incomplete lines, which are not in the log yet. */
void client_send_tails(struct client *);
/** Hands a fresh chunk to the clients of the stream's process. */
void clients_give(struct stream *);
/** Ends all clients of a process when they have what they were given. */
void clients_end(struct process *);
/** Lets the kernel hold what slow clients have not read, so that nobody waits for them. */
void clients_detach_pressure(struct process *);
void clients_resume_input(struct process *);
void client_drop(struct client *);

// ---- control.c ----

struct connection {
  struct source source;
  struct shim *shim;
  struct connection *next;
  bool greeted;
  uint8_t *partial;
  size_t partial_size;
  uint8_t *large; // a long frame that is coming in, or NULL
  size_t large_size, large_used;
};

bool control_open(struct shim *, int listener);
/** Handles one frame (command.c); false when the connection is not a control connection any more. */
bool command_handle(struct connection *, const struct fields *);
void control_event(struct shim *, struct message *);
void control_reply(struct connection *, struct message *);
void control_exit_event(struct shim *);
void control_add_exit(const struct shim *, struct message *);

// ---- runtime.c ----

/** Starts the runtime with these standard descriptors; −1 and errno when it cannot be executed. */
pid_t runtime_launch(struct shim *, const char *const *tail, const int fds[3], bool own_mounts);
void runtime_start(struct process *);
/** A runtime process of ours has ended. True: it was one. */
bool runtime_ended(struct shim *, pid_t, int status);

// ---- views-check.c: what a step or a container sees beside its root ----

struct view {
  struct fields group;
  const char *name;         // digits
  const char *path;         // a directory, file or socket of the engine's; or layers; or a tmpfs
  const char *upper, *work; // throw-away, for layers that may be written; or NULL
  const char *source;       // inside of that tree; NULL for its root
  const char *target;       // inside of the step's root; NULL: the runtime binds it from `views/<name>`
  int layers;
  bool tmpfs;
  int64_t tmpfs_bytes; // 0: the kernel's default
  bool readonly;
  bool socket; // the one place where a socket may be shown
};

/** @param step only its views may have targets */
bool views_check(const struct fields *, bool step, char reason[REASON_SIZE]);
/** The next view of a request that views_check has accepted. */
bool view_next(const struct fields *, size_t *cursor, struct view *out);

// ---- overlay.c ----

struct overlay {
  const char *lower[LOWER_MAX]; // top-most first
  int count;
  const char *upper, *work; // NULL: nothing can be written, and the kernel wants at least two layers
  bool readonly;
};

/** Appends the values of `key`. */
bool overlay_layers(struct overlay *, const struct fields *, const char *key);
/** False: errno. */
bool overlay_mount(const struct overlay *, const char *target);

// ---- confine.c: paths inside of a tree ----

/** Opens a path as if `root` were "/", links followed inside; −1 and errno. */
int confine_open(int root, const char *path);
/** Opens the entry itself at a path that has no links in it, on the same mount; −1 and errno. */
int confine_entry(int root, const char *path);
/** As confine_open, and makes what is missing; on the file system of the root itself only with `on_root`. */
int confine_make(int root, const char *path, bool directory, bool on_root);

// ---- views.c, stubs.c ----

/** A view that has been opened: a mount that is not in its place yet. */
struct seen {
  int tree;
  bool directory;
  const char *target;
};

bool views_open(struct shim *, struct seen *, int *count, char reason[REASON_SIZE]);
/** In the request's order: outer ones come first. */
bool views_place(int root, const struct seen *, int count, char reason[REASON_SIZE]);
void views_close(struct seen *, int count);
/** Takes their places in the run directory away. */
void views_remove(struct shim *);
/** Makes in the empty layer `stubs` whatever the tree `base` lacks to mount the views and the engine's own upon. */
bool stubs_make(int base, int stubs, const struct seen *, int count, char reason[REASON_SIZE]);

// ---- mount.c, mount-points.c ----

bool mount_private(struct shim *, char reason[REASON_SIZE]);
bool mount_root(struct shim *, char reason[REASON_SIZE]);
bool mount_hide_unified(void);
/** Makes /dev, /proc, /sys, /etc and the engine's files in it what they must be; `root` is the container's root. */
bool mount_points_make(int root, char reason[REASON_SIZE]);
/** Gives up the own mount namespace: what the host unmounts must not be kept busy here. */
void mount_leave(struct shim *);

// ---- net*.c: the container's own network ----

/** Checks the network part of a request: interfaces, routes, elements. */
bool wish_check(const struct fields *, char reason[REASON_SIZE]);
/** Makes the network namespace and what the spawn request says of it. @param taken set where a port of the host is in use */
bool net_setup(struct shim *, char reason[REASON_SIZE], bool *taken);
/** Whether there is an own network that may be changed: until the first process has ended. */
bool net_is_live(const struct shim *);
/** Makes it what these fields say. After a failure it is undetermined: the old fields restore it. */
bool net_change(struct shim *, const struct fields *, char reason[REASON_SIZE], bool *taken);
/** Gives back what others may have now: elements, ports, the name server's sockets; frames of the container pass no more. */
void net_end(struct shim *);
/** And the host ends of veth pairs. */
void net_remove(struct shim *);

// ---- ports.c: listeners on the host for published ports, served by a child process ----

/**
 * Makes the set of listeners what `lines` says (`tcp 0.0.0.0 8080 172.17.0.2 80`, "" for none): what is there and wanted stays.
 * To be called in the host's network namespace. Everything is bound before anything is given up: on failure nothing has changed,
 * and errno is EADDRINUSE where a program of the host has a port.
 */
bool ports_apply(struct shim *, const char *lines, char reason[REASON_SIZE]);
/** The firewall's elements are there: what clients began to send before is led by them from now on. */
void ports_opened(struct shim *);
/** When it returns, nothing is bound any more. After the firewall's elements are gone: it makes the kernel forget the ways of datagrams. */
void ports_close(struct shim *);

// ---- dns.c: 127.0.0.11 in the container's namespace, passed on to the daemon's name server ----

/** Binds the sockets in the namespace `net_ns`, redirects port 53 to them, and serves them from the loop. Idempotent. */
bool dns_start(struct shim *, int net_ns, const char *server, char reason[REASON_SIZE]);
void dns_stop(struct shim *);

// ---- reap.c, exit.c ----

bool reap_open(struct shim *);
/** A reaped child that nobody knew yet, kept while a runtime runs: the process that it has just started. */
bool reap_take_stranger(struct shim *, pid_t, uint64_t *start_time, int *status);
uint64_t process_start_time(pid_t);
/** A process of the container was reaped. */
void reaped(struct process *, int status);
struct process *exec_find(struct shim *, const char *id);
/** Ends of execs: told, and kept for `state` until too many have ended. */
void exec_told(struct process *);
void exec_forget(struct process *);
/** Ends what a failed or abandoned start has left: every child, and theirs as they are reparented. */
void reap_kill_children(void);
void exit_begin(struct shim *);
void exit_record(struct shim *);
void cleanup_begin(struct shim *);
/** The runtime's delete has ended. */
void cleanup_deleted(struct shim *);

struct stranger {
  pid_t pid;
  uint64_t start_time;
  int status;
};

enum { STRANGERS_MAX = 16 };

struct exit_record {
  bool written;
  int code, signal;
  bool oom_killed;
  char finished_at[40];
};

struct ports;
struct net;

struct shim {
  struct options options;
  char *title; // what ps shows
  size_t title_size;
  struct net *net;     // NULL: no network of its own
  struct ports *ports; // NULL: none is published
  struct loop loop;
  struct log log;
  int run_fd; // runDir, on the host's mount
  int program; // the sealed copy of the runtime, or −1
  int host_mounts; // the host's mount namespace, −1 once left or never entered
  bool own_mounts;
  char setup_error[REASON_SIZE];
  bool setup_conflict; // a port of the host is in use
  bool setup_missing;  // a part of a volume or an image is not there
  struct source listener;
  struct source signals;
  struct connection *connections;
  int connection_count, client_count;
  int large_count; // long frames that are coming in
  struct process init;
  struct process *execs; // newest first
  int exec_count;
  struct stranger strangers[STRANGERS_MAX];
  unsigned stranger_at;
  struct exit_record exit;
  bool ran; // the runtime was started at least once
  bool cleaning;
  pid_t delete_pid;
  int cleanup_tries;
  struct timer cleanup;
  struct dns *dns;     // NULL: the container has no name server
  struct timer lonely; // nobody ran the container and nobody is connected
  bool left;
};

/** The life of a shim, from fork to exit. Never returns. */
/** @param program the sealed copy of the runtime, or −1 */
_Noreturn void shim_main(const struct options *, int listener, int program, char *title, size_t title_size);
int spawner_main(char *title, size_t title_size);

/** `<runDir>/<name>` into `out`. */
void run_path(const struct shim *, const char *name, char out[PATH_SIZE]);
void fail(char reason[REASON_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Reads a small file; returns its size (at most size − 1, NUL-terminated) or −1. */
ssize_t read_file(const char *path, char *out, size_t size);
bool write_file(const char *path, const char *text);
void time_rfc3339(char out[40]);

#endif
