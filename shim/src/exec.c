// Execs of the container: found by id, told when they end, and kept for `state` while their number stays bounded.

#include <stdlib.h>
#include <string.h>

#include "shim.h"

struct process *exec_find(struct shim *s, const char *id) {
  for (struct process *p = s->execs; p != NULL; p = p->next)
    if (strcmp(p->id, id) == 0)
      return p;
  return NULL;
}

void exec_forget(struct process *p) {
  struct shim *s = p->shim;
  for (struct process **at = &s->execs; *at != NULL; at = &(*at)->next)
    if (*at == p) {
      *at = p->next;
      s->exec_count--;
      break;
    }
  if (!p->drained)
    process_close(p);
  loop_disarm(&s->loop, &p->drain);
  free(p->process_file);
  free(p);
}

void exec_told(struct process *told) {
  struct shim *s = told->shim;
  uint8_t memory[256];
  struct message m;
  message_begin(&m, memory, sizeof memory);
  message_add(&m, "event", "exec");
  message_add(&m, "target", told->id);
  message_add_number(&m, "code", told->wait_status);
  control_event(s, &m);
  // Newest first: what is beyond the limit is the oldest.
  int ended = 0;
  struct process *next;
  for (struct process *p = s->execs; p != NULL; p = next) {
    next = p->next;
    if (p->drained && ++ended > EXECS_ENDED_MAX && p != told)
      exec_forget(p);
  }
}
