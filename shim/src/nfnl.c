// Elements of the engine's nft sets and maps, added and deleted over netlink. The fast way is one batch, a transaction of the kernel,
// with many elements a message; where the kernel refuses something of it, the same elements go one a message, so that its errors say
// which of them are missing or already there with other data.
// Sources: net/netfilter/nfnetlink.c (batches: errors are told for each message, then all is undone), nf_tables_api.c.

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "nfnl.h"

enum {
  SOCKET_BYTES = 8 << 20,
  BATCH_BYTES = 4 << 20,    // what a transaction can be at most
  MESSAGE_BYTES = 32 << 10, // a list of elements; the kernel's limit is 64 KiB
  ELEMENT_ROOM = 512,       // more than one element takes with its message
  SLOW_BATCH = 4096,        // elements of a batch on the slow way: its errors must fit into the socket
  SLOW_ROUNDS = 4,
};

void nfnl_begin(struct netlink_buffer *b, uint8_t type, uint16_t flags, uint32_t sequence, uint8_t family) {
  struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0};
  netlink_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sequence, &head, sizeof head);
}

void nfnl_batch(struct netlink_buffer *b, bool end) {
  struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  netlink_begin(b, end ? NFNL_MSG_BATCH_END : NFNL_MSG_BATCH_BEGIN, 0, 0, &head, sizeof head);
}

/** A list of elements in the making: the message of one set. */
struct list {
  struct netlink_buffer *buffer;
  uint8_t family;
  char set[SET_NAME_MAX + 1];
  size_t nest, start;
  bool open;
};

static void list_end(struct list *l) {
  if (l->open)
    netlink_end(l->buffer, l->nest);
  l->open = false;
}

static void list_begin(struct list *l, const struct element *e, bool add, uint32_t sequence) {
  list_end(l);
  l->start = l->buffer->size;
  nfnl_begin(l->buffer, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0, sequence, e->family);
  netlink_add_text(l->buffer, NFTA_SET_ELEM_LIST_TABLE, "gantry");
  netlink_add_text(l->buffer, NFTA_SET_ELEM_LIST_SET, e->set);
  l->nest = netlink_nest(l->buffer, NFTA_SET_ELEM_LIST_ELEMENTS);
  l->family = e->family;
  memcpy(l->set, e->set, sizeof l->set);
  l->open = true;
}

static void list_add(struct list *l, const struct element *e, bool add) {
  size_t element = netlink_nest(l->buffer, NFTA_LIST_ELEM);
  size_t key = netlink_nest(l->buffer, NFTA_SET_ELEM_KEY);
  netlink_add(l->buffer, NFTA_DATA_VALUE, e->key, e->key_size);
  netlink_end(l->buffer, key);
  if (add && e->data_size > 0) {
    size_t data = netlink_nest(l->buffer, NFTA_SET_ELEM_DATA);
    netlink_add(l->buffer, NFTA_DATA_VALUE, e->data, e->data_size);
    netlink_end(l->buffer, data);
  }
  netlink_end(l->buffer, element);
}

/** Whether the list may take another element of this set. */
static bool list_fits(const struct list *l, const struct element *e) {
  return l->open && l->family == e->family && l->buffer->size - l->start < MESSAGE_BYTES && strcmp(l->set, e->set) == 0;
}

/** Told of each error of a batch. */
typedef void error_told(void *context, uint32_t sequence, int error);

/**
 * Sends a batch and reads every answer: the kernel has them ready when the send returns. Messages without NLM_F_ACK are answered only
 * where they fail. 0, or an errno of the conversation itself.
 */
static int transact(int fd, const struct netlink_buffer *b, error_told *told, void *context) {
  _Alignas(8) uint8_t reply[16384];
  if (b->overflow)
    return EMSGSIZE;
  if (send(fd, b->bytes, b->size, 0) < 0)
    return errno;
  for (;;) {
    ssize_t n = recv(fd, reply, sizeof reply, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN ? 0 : errno;
    size_t left = (size_t)n;
    for (struct nlmsghdr *h = (struct nlmsghdr *)reply; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      const struct nlmsgerr *e = NLMSG_DATA(h);
      if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof *e) && e->error != 0)
        told(context, h->nlmsg_seq, -e->error);
    }
  }
}

static void keep_first(void *context, uint32_t sequence, int error) {
  int *first = context;
  (void)sequence;
  if (*first == 0)
    *first = error;
}

// ---- the slow way ----

enum state { WANTED, REPLACED, MISSING };

struct slow {
  enum state *states;
  bool add;
  bool failed; // something of this round
  int error;   // that nothing can be done about
};

static void slow_told(void *context, uint32_t sequence, int error) {
  struct slow *s = context;
  s->failed = true;
  if (sequence == 0 || sequence > SLOW_BATCH) {
    s->error = error;
    return;
  }
  enum state *state = &s->states[sequence - 1];
  if (error == ENOENT && (!s->add || *state == WANTED))
    *state = MISSING;
  else if (error == ENOENT) // what was in its way went meanwhile
    *state = WANTED;
  else if (s->add && (error == EEXIST || error == EBUSY) && *state == WANTED)
    *state = REPLACED;
  else
    s->error = error;
}

/** Up to SLOW_BATCH lines, one element a message; what is missing is left out of the next round. */
static int slow_batch(int fd, struct netlink_buffer *b, const char *lines, const char *end, bool add) {
  struct slow s = {.add = add, .states = calloc(SLOW_BATCH, sizeof *s.states)};
  if (s.states == NULL)
    return ENOMEM;
  for (int round = 0; round < SLOW_ROUNDS; round++) {
    struct list list = {.buffer = b};
    struct element e;
    uint32_t sequence = 0;
    b->size = 0;
    s.failed = false;
    nfnl_batch(b, false);
    for (const char *at = lines; at < end; at += element_parse(at, &e)) {
      element_parse(at, &e);
      enum state state = s.states[sequence++];
      if (state == MISSING)
        continue;
      if (state == REPLACED) {
        list_begin(&list, &e, false, sequence);
        list_add(&list, &e, false);
      }
      list_begin(&list, &e, add, sequence);
      list_add(&list, &e, add);
    }
    list_end(&list);
    nfnl_batch(b, true);
    int error = transact(fd, b, slow_told, &s);
    if (error != 0)
      s.error = error;
    if (s.error != 0 || !s.failed)
      break;
    s.error = round + 1 == SLOW_ROUNDS ? EAGAIN : 0;
  }
  free(s.states);
  return s.error;
}

static int slow_way(int fd, struct netlink_buffer *b, const char *lines, const char *end, bool add) {
  int error = 0;
  while (lines < end && error == 0) {
    const char *next = lines;
    size_t room = 0;
    for (int n = 0; n < SLOW_BATCH && next < end && room + 2 * ELEMENT_ROOM < b->capacity; n++, room += 2 * ELEMENT_ROOM) {
      struct element e;
      next += element_parse(next, &e);
    }
    error = slow_batch(fd, b, lines, next, add);
    lines = next;
  }
  return error;
}

// ---- the fast way ----

/** Fills the buffer with a batch of as many lines as fit; returns where it ended. */
static const char *fill(struct netlink_buffer *b, const char *lines, bool add, char reason[REASON_SIZE]) {
  struct list list = {.buffer = b};
  struct element e;
  b->size = 0;
  b->overflow = false;
  nfnl_batch(b, false);
  while (*lines != '\0' && b->capacity - b->size > 2 * ELEMENT_ROOM) {
    size_t n = element_parse(lines, &e);
    if (n == 0) {
      fail(reason, "malformed nft element: %.*s", (int)(strcspn(lines, "\n") > 80 ? 80 : strcspn(lines, "\n")), lines);
      return NULL;
    }
    if (!list_fits(&list, &e))
      list_begin(&list, &e, add, 1);
    list_add(&list, &e, add);
    lines += n;
  }
  list_end(&list);
  nfnl_batch(b, true);
  return lines;
}

static size_t room_for(const char *lines) {
  size_t count = 1;
  for (const char *at = lines; (at = strchr(at, '\n')) != NULL; at++)
    count++;
  size_t room = count > BATCH_BYTES / ELEMENT_ROOM ? BATCH_BYTES : (count + 4) * ELEMENT_ROOM;
  return room < 8 * ELEMENT_ROOM ? 8 * ELEMENT_ROOM : room;
}

// The socket is kept: the kernel makes its close wait for a grace period (10 ms and more) while anybody's deleted elements are
// still to be freed (nft_rcv_nl_event), and a start or an exit must not wait for that.
static int kept = -1;

static int open_kept(void) {
  int bytes = SOCKET_BYTES, fd = kept >= 0 ? kept : netlink_socket(NETLINK_NETFILTER, 0);
  if (fd < 0 || kept >= 0)
    return fd;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  return kept = fd;
}

/** After a conversation that went wrong: what is still to come of it must not be taken for answers to the next. */
static void drop_kept(void) {
  close(kept);
  kept = -1;
}

bool nfnl_elements(const char *lines, bool add, char reason[REASON_SIZE]) {
  const char *what = add ? "add nft elements" : "delete nft elements";
  if (lines[0] == '\0')
    return true;
  struct netlink_buffer b;
  size_t room = room_for(lines);
  void *memory = malloc(room);
  int fd = open_kept();
  bool ok = fd >= 0 && memory != NULL;
  if (!ok)
    fail(reason, "%s: %s", what, errno == EPROTONOSUPPORT ? "nf_tables is not supported by this kernel" : strerror(errno));
  netlink_open_buffer(&b, memory, room);
  while (ok && *lines != '\0') {
    int first = 0;
    const char *end = fill(&b, lines, add, reason);
    ok = end != NULL;
    if (!ok)
      break;
    int error = transact(fd, &b, keep_first, &first);
    if (error == 0 && (first == ENOENT || first == EEXIST || first == EBUSY))
      error = slow_way(fd, &b, lines, end, add);
    else if (error == 0)
      error = first;
    if (error != 0) {
      fail(reason, "%s: %s", what,
           error == EOPNOTSUPP ? "nf_tables is not supported by this kernel" : strerror(error));
      drop_kept();
      ok = false;
    }
    lines = end;
  }
  free(memory);
  return ok;
}
