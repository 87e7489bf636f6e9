/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a node's admin address: HTTP with JSON bodies, one at a time, blocking. */
#ifndef CONTROLPLANE_CTL_ADMIN_CLIENT_H
#define CONTROLPLANE_CTL_ADMIN_CLIENT_H

#include <jansson.h>

#include "controlplane/ctl/command.h"

/* GET 'path' from ctl->admin. On CTL_OK the caller owns '*reply'. On anything else one line has
 * been printed to ctl->err: CTL_UNREACHABLE when there was no answer, CTL_NO for 404 and 409,
 * CTL_ERROR for other refusals.
 */
enum ctl_exit admin_get(struct ctl *ctl, const char *path, json_t **reply);

/* POST 'request' (borrowed; NULL = no body) to 'path'. Like admin_get, but CTL_UNKNOWN when the
 * connection was made and then no answer came, or the node got none from another one (504): it may have been
 * done.
 */
enum ctl_exit admin_post(struct ctl *ctl, const char *path, const json_t *request, json_t **reply);

/* DELETE 'path'. Like admin_post. */
enum ctl_exit admin_delete(struct ctl *ctl, const char *path, json_t **reply);

/* Splits "HOST:PORT", "HOST" or "[IPV6]:PORT" into 'host' (NUL-terminated, 'host_size' bytes of
 * room) and '*port', which keeps its value when none is given. 0, or -EINVAL.
 */
int admin_address_parse(const char *text, char *host, size_t host_size, uint16_t *port);

#endif
