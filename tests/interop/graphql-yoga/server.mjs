// The foreign server of the GraphQL connector's tests: `graphql-yoga`, on a free port of this machine.
//
//   node server.mjs <folder with node_modules>
//
// The first line on standard output is its address. It asks for `Authorization: Bearer t0ken`.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules] = process.argv.slice(2);
const require = createRequire(join(modules, 'package.json'));
const { createSchema, createYoga } = require('graphql-yoga');
const { GraphQLError, GraphQLScalarType } = require('graphql');

const people = Array.from({ length: 25 }, (_, at) => ({
  id: String(at + 1),
  name: `person ${at + 1}`,
  age: at % 5 === 0 ? null : 20 + at,
  score: at / 4,
  active: at % 2 === 0,
  role: at % 3 === 0 ? 'ADMIN' : 'USER',
  tags: ['a', `t${at}`],
  born: new Date(Date.UTC(2001, 1, at + 1, 10)).toISOString(),
  extra: { at },
  address: { city: `city ${at % 3}`, geo: { lat: 1.5 } },
}));

const typeDefs = /* GraphQL */ `
  scalar DateTime
  scalar JSON
  enum Role { ADMIN USER }
  type Geo { lat: Float! }
  type Address { city: String! geo: Geo }
  "Somebody"
  type Person {
    id: ID! name: String! age: Int score: Float! active: Boolean! role: Role! tags: [String!]! born: DateTime extra: JSON
    address: Address friends: [Person!]! greeting(of: String!): String
  }
  type PersonEdge { node: Person cursor: String! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type PersonConnection { edges: [PersonEdge!]! pageInfo: PageInfo! }
  type Query {
    "Everybody"
    people(first: Int, after: String): PersonConnection!
    slices(limit: Int! = 10, offset: Int): [Person!]!
    all: [Person!]!
    failing: [Person!]!
    search(text: String!): [Person!]!
    one: Person
    names: [String!]!
  }
`;

const page = (from, count) => {
  const nodes = people.slice(from, from + Math.min(count, 7));
  const end = from + nodes.length;
  const edges = nodes.map((node, at) => ({ node, cursor: `"${from + at + 1}"` }));
  return { edges, pageInfo: { hasNextPage: end < people.length, endCursor: edges.at(-1)?.cursor ?? null } };
};

const schema = createSchema({
  typeDefs,
  resolvers: {
    DateTime: new GraphQLScalarType({ name: 'DateTime' }),
    JSON: new GraphQLScalarType({ name: 'JSON' }),
    Query: {
      people: (_, { first, after }) => page(after ? Number(after.replaceAll('"', '')) : 0, first ?? 1000),
      slices: (_, { limit, offset }) => people.slice(offset ?? 0, (offset ?? 0) + Math.min(limit, 7)),
      all: () => people,
      failing: () => {
        throw new GraphQLError('secret of the server');
      },
    },
  },
});

const yoga = createYoga({ schema, logging: false, maskedErrors: false });
const server = createServer((request, response) => {
  if (request.headers.authorization !== 'Bearer t0ken') {
    response.writeHead(401).end();
    return;
  }
  yoga(request, response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
console.log(`http://127.0.0.1:${server.address().port}/graphql`);
