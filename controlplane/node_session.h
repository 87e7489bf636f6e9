/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions between the nodes of a cluster on the data network: the tokens in their FORWARDs. */
#ifndef CONTROLPLANE_NODE_SESSION_H
#define CONTROLPLANE_NODE_SESSION_H

#include "controlplane/node.h"

/* What 'to' expects in the FORWARDs of 'from'. Both compute it from their records, so nothing is
 * exchanged, and it cannot be told without the secrets in them. Another life of either node makes another token;
 * the two directions have different ones. 0: there is no session, for one of them says no secret.
 */
uint64_t node_session_token(const struct node *from, const struct node *to);

#endif
