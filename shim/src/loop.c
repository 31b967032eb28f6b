// The event loop: level-triggered epoll, one event per turn (so a freed source can never be in a batch), monotonic timers.

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "shim.h"

enum { IDLE_MS = 200 };

int64_t monotonic_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool loop_open(struct loop *l) {
  l->timers = NULL;
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  return l->epoll >= 0;
}

void loop_watch(struct loop *l, struct source *s, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = s};
  if (s->events == events)
    return;
  epoll_ctl(l->epoll, s->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, s->fd, &e);
  s->events = events;
}

void loop_disarm(struct loop *l, struct timer *t) {
  for (struct timer **p = &l->timers; *p != NULL; p = &(*p)->next)
    if (*p == t) {
      *p = t->next;
      break;
    }
  t->armed = false;
}

void loop_arm(struct loop *l, struct timer *t, int64_t after_ms) {
  loop_disarm(l, t);
  t->at_ms = monotonic_ms() + after_ms;
  t->next = l->timers;
  t->armed = true;
  l->timers = t;
}

static struct timer *next_timer(const struct loop *l) {
  struct timer *first = l->timers;
  for (struct timer *t = l->timers; t != NULL; t = t->next)
    if (t->at_ms < first->at_ms)
      first = t;
  return first;
}

void loop_turn(struct loop *l, void (*idle)(void *), void *context) {
  static bool quiet; // nothing to give back any more: sleep without a limit
  struct epoll_event e;
  struct timer *t = next_timer(l);
  int64_t wait = quiet ? -1 : IDLE_MS;
  if (t != NULL) {
    int64_t due = t->at_ms - monotonic_ms();
    if (due < 0)
      due = 0;
    if (wait < 0 || due < wait)
      wait = due;
  }
  int n = epoll_wait(l->epoll, &e, 1, (int)wait);
  if (n > 0) {
    struct source *s = e.data.ptr;
    quiet = false;
    s->ready(s, e.events);
  } else if (n == 0 && !quiet && wait == IDLE_MS) {
    quiet = true;
    idle(context);
  }
  t = next_timer(l);
  if (t != NULL && t->at_ms <= monotonic_ms()) {
    loop_disarm(l, t);
    t->fire(t);
  }
}
